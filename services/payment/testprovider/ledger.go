package testprovider

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// Kind is what happened to money.
type Kind string

// The kinds of ledger entries.
const (
	Hold    Kind = "hold"
	Capture Kind = "capture"
	Void    Kind = "void"
	Refund  Kind = "refund"
)

// Entry is one thing that happened to money. Declines and repetitions move none, and are no entries.
type Entry struct {
	Kind Kind
	// Key is the idempotency key of the hold.
	Key, Ref, Order string
	// Amount that was moved.
	Amount provider.Money
}

// Ledger returns what happened, oldest first. It is for tests and checks.
func (p *Provider) Ledger(ctx context.Context) ([]Entry, error) {
	rows, err := p.db.QueryContext(ctx, "SELECT kind, key, ref, order_id, currency, minor FROM move ORDER BY seq")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Entry
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Kind, &e.Key, &e.Ref, &e.Order, &e.Amount.Currency, &e.Amount.Minor); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// move moves money, writes it down, and makes an event of it.
func (p *Provider) move(ctx context.Context, tx *sql.Tx, c Charge, kind Kind, minor int64) error {
	state := c.State
	switch kind {
	case Hold:
	case Capture:
		state, c.Captured = provider.Captured, minor
	case Void:
		state = provider.Voided
	case Refund:
		c.Refunded += minor
	}
	if _, err := tx.ExecContext(ctx, "UPDATE charge SET state = $1, captured = $2, refunded = $3 WHERE key = $4",
		state.String(), c.Captured, c.Refunded, c.Key); err != nil {
		return fmt.Errorf("move money: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO move (seq, kind, key, ref, order_id, currency, minor, at)
		SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM move`,
		string(kind), c.Key, c.Ref, c.Order, c.Amount.Currency, minor, p.c.Now().UnixMicro()); err != nil {
		return fmt.Errorf("write a move of money: %w", err)
	}
	return p.tell(ctx, tx, c, kind)
}
