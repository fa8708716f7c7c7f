package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/services/notification/internal/letters"
)

// pruneMost bounds what one transaction deletes.
const pruneMost = 1000

// Due implements letters.Queue.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]letters.Mail, error) {
	return mails(ctx, s.db, full, "WHERE state = 'PENDING' AND next_at <= $1 ORDER BY next_at, id LIMIT $2", now.UnixMicro(), limit)
}

// Record implements letters.Queue.
func (s *Store) Record(ctx context.Context, l *lease.Lease, r letters.Result) error {
	next := int64(0)
	if r.State == letters.Pending {
		next = r.Next.UnixMicro()
	}
	return data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE mail SET state = $1, attempts = $2, why = $3, updated_at = $4, next_at = $5
			WHERE id = $6 AND state = 'PENDING' AND attempts = $7 AND again = $8`,
			string(r.State), r.Attempts, r.Why, r.Updated.UnixMicro(), next, r.ID, r.Before, r.Again); err != nil {
			return fmt.Errorf("record an attempt: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "UPDATE mail SET body = '', html = '' WHERE id = $1 AND secret = 1 AND state IN ('SENT', 'DEAD')", r.ID); err != nil {
			return fmt.Errorf("delete the text of a secret mail: %w", err)
		}
		return nil
	})
}

// Prune implements letters.Queue.
func (s *Store) Prune(ctx context.Context, l *lease.Lease, before, now time.Time) (n int64, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE mail SET body = '', html = '' WHERE secret = 1 AND state = 'HELD' AND expires_at <= $1 AND body <> ''",
			now.UnixMicro()); err != nil {
			return fmt.Errorf("delete the text of secret mails: %w", err)
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE state <> 'PENDING' AND updated_at < $1 LIMIT $2)`,
			before.UnixMicro(), pruneMost)
		if err != nil {
			return fmt.Errorf("delete old mails: %w", err)
		}
		n, err = r.RowsAffected()
		return err
	})
	return n, err
}
