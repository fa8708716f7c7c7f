package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/services/payment/internal/pay"
)

// OpenRefund implements pay.Store.
func (s *Store) OpenRefund(ctx context.Context, r pay.Refund) (pay.Payment, bool, error) {
	var p pay.Payment
	var ok bool
	err := s.tx(ctx, func(tx *sql.Tx) error {
		before, err := get(ctx, tx, r.PaymentID)
		if err != nil {
			return err
		}
		p, ok = before, true
		var owner string
		err = tx.QueryRowContext(ctx, "SELECT payment_id FROM refund WHERE id = $1", r.ID).Scan(&owner)
		switch {
		case err == nil && owner != r.PaymentID:
			return pay.ErrRefundElsewhere
		case err == nil:
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("read a refund: %w", err)
		}
		if p, ok = before.Begin(r); !ok {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO refund (id, payment_id, state, minor, reason, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $6)`, r.ID, r.PaymentID, string(r.State), r.Minor, r.Reason, micros(r.CreateTime)); err != nil {
			return fmt.Errorf("write a refund: %w", err)
		}
		if p.Refunds, err = refunds(ctx, tx, p.ID); err != nil {
			return err
		}
		return s.write(ctx, tx, before, p, "refund:"+r.ID+":pending")
	})
	if err != nil {
		return pay.Payment{}, false, err
	}
	return p, ok, nil
}

// EndRefund implements pay.Store.
func (s *Store) EndRefund(ctx context.Context, paymentID, refundID string, to pay.RefundState, at time.Time) (pay.Payment, error) {
	var p pay.Payment
	err := s.tx(ctx, func(tx *sql.Tx) error {
		before, err := get(ctx, tx, paymentID)
		if err != nil {
			return err
		}
		p = before
		for _, r := range before.Refunds {
			after, ok := before.End(r, to, at)
			if r.ID != refundID || !ok {
				continue
			}
			if _, err := tx.ExecContext(ctx, "UPDATE refund SET state = $1, updated_at = $2 WHERE id = $3 AND state = 'pending'",
				string(to), micros(at), refundID); err != nil {
				return fmt.Errorf("end a refund: %w", err)
			}
			p = after
			if p.Refunds, err = refunds(ctx, tx, paymentID); err != nil {
				return err
			}
			return s.write(ctx, tx, before, p, "refund:"+refundID)
		}
		return nil
	})
	if err != nil {
		return pay.Payment{}, err
	}
	return p, nil
}
