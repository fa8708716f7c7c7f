package testprovider

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// Charge is what the provider remembers of one Authorize.
type Charge struct {
	// Key is its idempotency key.
	Key, Ref, Order    string
	Amount             provider.Money
	State              provider.State
	DeclineCode        string
	Captured, Refunded int64

	behaviour string
	events    int
}

const columns = "key, ref, order_id, currency, minor, state, decline_code, captured, refunded, behaviour, events"

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (Charge, error) {
	var c Charge
	var state string
	err := row.Scan(&c.Key, &c.Ref, &c.Order, &c.Amount.Currency, &c.Amount.Minor, &state, &c.DeclineCode, &c.Captured, &c.Refunded,
		&c.behaviour, &c.events)
	for s := provider.Unknown; s <= provider.Declined; s++ {
		if s.String() == state {
			c.State = s
		}
	}
	return c, err
}

// charge reads a charge that may be missing, by a column that names one.
func (p *Provider) charge(ctx context.Context, tx *sql.Tx, column, value string) (Charge, bool, error) {
	c, err := scan(tx.QueryRowContext(ctx, "SELECT "+columns+" FROM charge WHERE "+column+" = $1", value))
	if errors.Is(err, sql.ErrNoRows) {
		return Charge{}, false, nil
	}
	return c, err == nil, err
}

// decide makes the outcome of a key's first Authorize.
func (p *Provider) decide(ctx context.Context, tx *sql.Tx, r provider.Request, b behaviour) (Charge, error) {
	c := Charge{
		Key: r.IdempotencyKey, Ref: Ref(r.IdempotencyKey), Order: r.Order, Amount: r.Amount, State: provider.Held, DeclineCode: b.decline,
		behaviour: b.word,
	}
	if b.decline != "" {
		c.State = provider.Declined
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO charge (key, ref, order_id, currency, minor, state, decline_code, behaviour, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, c.Key, c.Ref, c.Order, c.Amount.Currency, c.Amount.Minor, c.State.String(), c.DeclineCode,
		c.behaviour, p.c.Now().UnixMicro())
	if err != nil || c.State == provider.Declined {
		return c, err
	}
	return c, p.move(ctx, tx, c, Hold, c.Amount.Minor)
}

// Lookup implements provider.Provider.
func (p *Provider) Lookup(ctx context.Context, q provider.Query) (provider.Status, error) {
	c, err := scan(p.db.QueryRowContext(ctx, "SELECT "+columns+" FROM charge WHERE key = $1", q.IdempotencyKey))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return provider.Status{}, nil
	case err != nil:
		return provider.Status{}, err
	case c.State == provider.Declined:
		return provider.Status{State: c.State, DeclineCode: c.DeclineCode}, nil
	}
	s := provider.Status{State: c.State, Amount: c.Amount, Captured: c.Captured, Refunded: c.Refunded, Ref: c.Ref}
	if c.Refunded == 0 {
		return s, nil
	}
	s.Refunds = map[string]int64{}
	rows, err := p.db.QueryContext(ctx, "SELECT key, minor FROM refund WHERE ref = $1 AND decline_code = ''", c.Ref)
	if err != nil {
		return provider.Status{}, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key string
		var minor int64
		if err := rows.Scan(&key, &minor); err != nil {
			return provider.Status{}, err
		}
		s.Refunds[key] = minor
	}
	return s, rows.Err()
}

// Charges returns all that was ever asked to be held, the oldest first. It is for tests and checks: one order has one charge that is
// not declined.
func (p *Provider) Charges(ctx context.Context) ([]Charge, error) {
	rows, err := p.db.QueryContext(ctx, "SELECT "+columns+" FROM charge ORDER BY created_at, key")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Charge
	for rows.Next() {
		c, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Ref returns the ref that a hold with this idempotency key has.
func Ref(idempotencyKey string) string {
	sum := sha256.Sum256([]byte(idempotencyKey))
	return "test_" + hex.EncodeToString(sum[:16])
}
