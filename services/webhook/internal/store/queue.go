package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/hook"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/services/webhook/internal/hooks"
)

// pruneMost bounds what one transaction deletes.
const pruneMost = 1000

// Due implements hooks.Queue. Each endpoint is asked for by itself: one with a long queue hides no other.
func (s *Store) Due(ctx context.Context, now time.Time, perEndpoint int) ([]hooks.Parcel, error) {
	waiting, err := endpoints(ctx, s.db, `WHERE disabled = 0 AND EXISTS (
		SELECT 1 FROM delivery d WHERE d.endpoint_id = endpoint.id AND d.state = 'PENDING' AND d.next_at <= $1) ORDER BY id`, now.UnixMicro())
	if err != nil {
		return nil, err
	}
	var out []hooks.Parcel
	for _, e := range waiting {
		secrets, err := s.secrets(ctx, e.ID, now)
		if err != nil {
			return nil, err
		}
		err = each(ctx, s.db, func(rows *sql.Rows) error {
			p := hooks.Parcel{URL: e.URL, Secrets: secrets}
			var body string
			var err error
			p.Delivery, err = delivery(rows, &body)
			p.Body = []byte(body)
			out = append(out, p)
			return err
		}, "SELECT "+deliveryColumns+`, m.body FROM delivery d JOIN message m ON m.id = d.message_id
			WHERE d.endpoint_id = $1 AND d.state = 'PENDING' AND d.next_at <= $2 ORDER BY d.next_at, d.id LIMIT $3`, e.ID, now.UnixMicro(), perEndpoint)
		if err != nil {
			return nil, fmt.Errorf("read what is due: %w", err)
		}
	}
	return out, nil
}

// secrets are those that sign, the newest first.
func (s *Store) secrets(ctx context.Context, endpointID string, now time.Time) ([]hook.Secret, error) {
	var out []hook.Secret
	err := each(ctx, s.db, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return errors.New("a secret can't be read") // err might show it
		}
		secret, err := hook.ParseSecret(text)
		out = append(out, secret)
		return err
	}, `SELECT secret FROM endpoint_secret WHERE endpoint_id = $1 AND (until_at = 0 OR until_at > $2)
		ORDER BY created_at DESC, secret`, endpointID, now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read the secrets of endpoint %s: %w", endpointID, err)
	}
	return out, nil
}

// Record implements hooks.Queue.
func (s *Store) Record(ctx context.Context, l *lease.Lease, r hooks.Result) error {
	next := int64(0)
	if r.State == hooks.Pending {
		next = r.Next.UnixMicro()
	}
	return data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE delivery SET state = $1, attempts = $2, status = $3, why = $4, updated_at = $5, next_at = $6
			WHERE id = $7 AND state = 'PENDING' AND attempts = $8`,
			string(r.State), r.Attempts, r.Status, string(r.Why), r.Updated.UnixMicro(), next, r.ID, r.Before); err != nil {
			return fmt.Errorf("record an attempt: %w", err)
		}
		if r.Why != hooks.FailGone {
			return nil
		}
		if _, err := tx.ExecContext(ctx, "UPDATE endpoint SET disabled = 1, why = $1, updated_at = $2 WHERE id = $3",
			string(r.Why), r.Updated.UnixMicro(), r.EndpointID); err != nil {
			return fmt.Errorf("disable an endpoint: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "UPDATE delivery SET state = 'DEAD', why = $1, updated_at = $2, next_at = 0 WHERE endpoint_id = $3 AND state = 'PENDING'",
			string(r.Why), r.Updated.UnixMicro(), r.EndpointID); err != nil {
			return fmt.Errorf("let the deliveries of an endpoint die: %w", err)
		}
		return nil
	})
}

// Prune implements hooks.Queue.
func (s *Store) Prune(ctx context.Context, l *lease.Lease, before time.Time) (n int64, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM delivery WHERE id IN (
			SELECT id FROM delivery WHERE state IN ('DELIVERED', 'DEAD') AND updated_at < $1 LIMIT $2)`, before.UnixMicro(), pruneMost)
		if err != nil {
			return fmt.Errorf("delete old deliveries: %w", err)
		}
		if n, err = r.RowsAffected(); err != nil {
			return fmt.Errorf("delete old deliveries: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM message WHERE id IN (SELECT m.id FROM message m
			WHERE m.created_at < $1 AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = m.id) LIMIT $2)`, before.UnixMicro(), pruneMost); err != nil {
			return fmt.Errorf("delete old messages: %w", err)
		}
		return nil
	})
	return n, err
}
