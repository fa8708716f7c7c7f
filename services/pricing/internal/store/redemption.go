package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// tx is a price.Tx in one SQL transaction.
type tx struct{ *sql.Tx }

var _ price.Tx = tx{}

// Quote implements price.Tx.
func (t tx) Quote(ctx context.Context, id string) (price.Quote, error) { return findQuote(ctx, t, id) }

// Redemption implements price.Tx.
func (t tx) Redemption(ctx context.Context, id string) (price.Redemption, bool, error) {
	r := price.Redemption{ID: id}
	err := t.QueryRowContext(ctx, "SELECT state, quote_id, coupon FROM redemption WHERE id = $1", id).Scan(&r.State, &r.QuoteID, &r.Coupon)
	r, found, err := maybe(r, err)
	if err != nil {
		err = fmt.Errorf("read a redemption: %w", err)
	}
	return r, found, err
}

// CouponOfQuote implements price.Store.
func (s *Store) CouponOfQuote(ctx context.Context, id string) (string, error) {
	return s.code(ctx, "SELECT coupon FROM quote WHERE id = $1", id)
}

// CouponOfRedemption implements price.Store.
func (s *Store) CouponOfRedemption(ctx context.Context, id string) (string, error) {
	return s.code(ctx, "SELECT coupon FROM redemption WHERE id = $1", id)
}

func (s *Store) code(ctx context.Context, query, id string) (string, error) {
	var code string
	err := s.db.QueryRowContext(ctx, query, id).Scan(&code)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("find a coupon: %w", err)
	}
	return code, nil
}

// AddRedemption implements price.Tx.
func (t tx) AddRedemption(ctx context.Context, r price.Redemption, at time.Time) error {
	_, err := t.ExecContext(ctx, "INSERT INTO redemption (id, state, quote_id, coupon, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)",
		r.ID, string(r.State), r.QuoteID, r.Coupon, at.UnixMicro())
	if err != nil {
		return fmt.Errorf("write a redemption: %w", err)
	}
	return nil
}

// SetState implements price.Tx.
func (t tx) SetState(ctx context.Context, id string, from, to price.State, at time.Time) error {
	moved, err := affected(t.ExecContext(ctx, "UPDATE redemption SET state = $1, updated_at = $2 WHERE id = $3 AND state = $4",
		string(to), at.UnixMicro(), id, string(from)))
	if err == nil && !moved { // within one serializable transaction it can't be
		err = fmt.Errorf("redemption %s is %s and is not", id, from)
	}
	if err != nil {
		return fmt.Errorf("move a redemption: %w", err)
	}
	return nil
}

// TakeUse implements price.Tx. The condition is in the statement that changes the row: there is no moment between asking and taking.
func (t tx) TakeUse(ctx context.Context, code string) (bool, error) {
	return t.use(ctx, `UPDATE coupon SET reserved = reserved + 1
		WHERE code = $1 AND (usage_limit = 0 OR used + reserved < usage_limit)`, code)
}

// KeepUse implements price.Tx.
func (t tx) KeepUse(ctx context.Context, code string) (bool, error) {
	return t.use(ctx, "UPDATE coupon SET reserved = reserved - 1, used = used + 1 WHERE code = $1 AND reserved >= 1", code)
}

// FreeUse implements price.Tx.
func (t tx) FreeUse(ctx context.Context, code string) (bool, error) {
	return t.use(ctx, "UPDATE coupon SET reserved = reserved - 1 WHERE code = $1 AND reserved >= 1", code)
}

// GiveBackUse implements price.Tx.
func (t tx) GiveBackUse(ctx context.Context, code string) (bool, error) {
	return t.use(ctx, "UPDATE coupon SET used = used - 1 WHERE code = $1 AND used >= 1", code)
}

// CouponThere implements price.Tx.
func (t tx) CouponThere(ctx context.Context, code string) (bool, error) {
	var n int64
	err := t.QueryRowContext(ctx, "SELECT count(*) FROM coupon WHERE code = $1", code).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for a coupon: %w", err)
	}
	return n > 0, nil
}

func (t tx) use(ctx context.Context, query, code string) (bool, error) {
	ok, err := affected(t.ExecContext(ctx, query, code))
	if err != nil {
		return false, fmt.Errorf("count a use of a coupon: %w", err)
	}
	return ok, nil
}
