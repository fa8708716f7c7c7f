package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/services/payment/internal/pay"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// Due implements pay.Books.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return all(ctx, s.db, text, "SELECT id FROM payment WHERE due_at > 0 AND due_at <= $1 ORDER BY due_at LIMIT $2", now.UnixMicro(), limit)
}

func text(row scanner) (string, error) {
	var v string
	err := row.Scan(&v)
	return v, err
}

// Postpone implements pay.Books.
func (s *Store) Postpone(ctx context.Context, p pay.Payment, due time.Time) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE payment SET due_at = $1 WHERE id = $2 AND updated_at = $3", micros(due), p.ID, micros(p.UpdateTime))
		return err
	})
}

// Balance implements pay.Books.
func (s *Store) Balance(ctx context.Context, p pay.Payment) (pay.Balance, bool, error) {
	var b pay.Balance
	err := s.db.QueryRowContext(ctx, `SELECT
			COALESCE(SUM(CASE WHEN e.account = 'provider:held' THEN e.debit - e.credit ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN e.account = 'revenue' THEN e.credit - e.debit ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN e.account = 'refunds' THEN e.debit - e.credit ELSE 0 END), 0)
		FROM payment p LEFT JOIN ledger_entries e ON e.payment_id = p.id
		WHERE p.id = $1 AND p.updated_at = $2 GROUP BY p.id`, p.ID, micros(p.UpdateTime)).Scan(&b.Held, &b.Captured, &b.Refunded)
	if errors.Is(err, sql.ErrNoRows) {
		return pay.Balance{}, false, nil
	}
	return b, err == nil, err
}

// PutDiscrepancies implements pay.Books.
func (s *Store) PutDiscrepancies(ctx context.Context, paymentID string, found []pay.Discrepancy) error {
	known, err := all(ctx, s.db, text, "SELECT what FROM discrepancy WHERE payment_id = $1", paymentID)
	if err != nil || len(known) == 0 && len(found) == 0 {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		now := map[string]bool{}
		for _, d := range found {
			now[d.What] = true
			if _, err := tx.ExecContext(ctx, `INSERT INTO discrepancy (payment_id, what, currency, ledger_minor, provider_minor, created_at)
				VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (payment_id, what)
				DO UPDATE SET ledger_minor = excluded.ledger_minor, provider_minor = excluded.provider_minor`,
				paymentID, d.What, d.Currency, d.Ledger, d.Provider, micros(d.CreateTime)); err != nil {
				return fmt.Errorf("write a discrepancy: %w", err)
			}
		}
		for _, what := range known {
			if now[what] {
				continue
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM discrepancy WHERE payment_id = $1 AND what = $2", paymentID, what); err != nil {
				return fmt.Errorf("delete a discrepancy: %w", err)
			}
		}
		return nil
	})
}

// Discrepancies implements pay.Books.
func (s *Store) Discrepancies(ctx context.Context, after pay.DiscrepancyCursor, limit int) ([]pay.Discrepancy, error) {
	at := int64(-1)
	if after != (pay.DiscrepancyCursor{}) {
		at = after.CreateTime.UnixMicro()
	}
	scan := func(row scanner) (pay.Discrepancy, error) {
		var d pay.Discrepancy
		var created int64
		err := row.Scan(&d.PaymentID, &d.What, &d.Currency, &d.Ledger, &d.Provider, &created)
		d.CreateTime = moment(created)
		return d, err
	}
	return all(ctx, s.db, scan, `SELECT payment_id, what, currency, ledger_minor, provider_minor, created_at FROM discrepancy
		WHERE created_at > $1 OR (created_at = $1 AND (payment_id > $2 OR (payment_id = $2 AND what > $3)))
		ORDER BY created_at, payment_id, what LIMIT $4`, at, after.PaymentID, after.What, limit)
}

// Seen implements pay.Inbox.
func (s *Store) Seen(ctx context.Context, name, eventID string) (bool, error) {
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM webhook_event WHERE provider = $1 AND event_id = $2", name, eventID).Scan(&n)
	return n > 0, err
}

// MarkSeen implements pay.Inbox.
func (s *Store) MarkSeen(ctx context.Context, name string, e provider.Event, at time.Time) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO webhook_event (provider, event_id, payment_id, kind, received_at)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (provider, event_id) DO NOTHING`, name, e.ID, e.Key, e.Kind, micros(at))
		return err
	})
}

// ForgetSeen implements pay.Inbox.
func (s *Store) ForgetSeen(ctx context.Context, before time.Time, limit int) error {
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM webhook_event WHERE received_at < $1", micros(before)).Scan(&n)
	if err != nil || n == 0 {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM webhook_event WHERE (provider, event_id) IN
			(SELECT provider, event_id FROM webhook_event WHERE received_at < $1 ORDER BY received_at LIMIT $2)`, micros(before), limit)
		return err
	})
}
