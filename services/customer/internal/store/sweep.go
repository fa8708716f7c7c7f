package store

import (
	"context"
	"fmt"
	"time"
)

// attemptsKept is how long a count is kept after its last attempt: as long as account counts on with it.
const attemptsKept = 24 * time.Hour

// Sweep implements account.Store. Each statement stands alone: two instances that sweep at once do no harm.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	for _, d := range []struct {
		query  string
		before time.Time
	}{
		{"DELETE FROM registration WHERE expires_at <= $1", now},
		{"DELETE FROM password_reset WHERE expires_at <= $1", now},
		{"DELETE FROM session WHERE expires_at <= $1", now},
		{"DELETE FROM refresh_token WHERE expires_at <= $1", now},
		// One whose last token has ended can't be refreshed any more. Its next token is written in the transaction that writes it down.
		{"DELETE FROM session WHERE created_at <= $1 AND NOT EXISTS (SELECT 1 FROM refresh_token WHERE session_id = session.id)", now},
		{"DELETE FROM attempt WHERE last_at <= $1", now.Add(-attemptsKept)},
	} {
		if _, err := s.db.ExecContext(ctx, d.query, micros(d.before)); err != nil {
			return fmt.Errorf("sweep what has expired: %w", err)
		}
	}
	return nil
}
