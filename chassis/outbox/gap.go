package outbox

import (
	"context"
	"database/sql"
	"fmt"
)

// Why a consumer does without events.
const (
	gapMissing = "missing" // they never came
	gapDead    = "dead"    // they are dead letters
	gapBefore  = "before"  // they were published before its first subscription
)

// gap notes that the consumer does without the topic's events after first, up to last.
func (s *subscription) gap(ctx context.Context, tx *sql.Tx, key, topic string, first, last int64, why string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO inbox_gap (consumer, key, topic, first, last, made_at, why)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (consumer, key, topic, last) DO NOTHING`, s.consumer, key, topic, first, last, s.inbox.Now().UnixMicro(), why)
	if err != nil {
		return fmt.Errorf("note a gap: %w", err)
	}
	return nil
}

func (s *subscription) inGap(ctx context.Context, tx *sql.Tx, key, topic string, seq int64) (bool, error) {
	return exists(ctx, tx, `SELECT 1 FROM inbox_gap WHERE consumer = $1 AND key = $2 AND topic = $3 AND first < $4 AND last >= $4`,
		s.consumer, key, topic, seq)
}

// heal takes an event out of its gap, because an operator had it applied after all. prior is the topic's event before it.
func (s *subscription) heal(ctx context.Context, tx *sql.Tx, key, topic string, prior, seq int64) error {
	var first, last int64
	var why string
	args := []any{s.consumer, key, topic, seq}
	err := tx.QueryRowContext(ctx, `SELECT first, last, why FROM inbox_gap WHERE consumer = $1 AND key = $2 AND topic = $3
		AND first < $4 AND last >= $4 LIMIT 1`, args...).Scan(&first, &last, &why)
	if err != nil {
		return fmt.Errorf("find the gap: %w", err)
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM inbox_gap WHERE consumer = $1 AND key = $2 AND topic = $3 AND last = $4`, s.consumer, key, topic, last)
	if err != nil {
		return fmt.Errorf("close the gap: %w", err)
	}
	if prior > first {
		if err := s.gap(ctx, tx, key, topic, first, prior, why); err != nil {
			return err
		}
	}
	if seq < last {
		return s.gap(ctx, tx, key, topic, seq, last, why)
	}
	return nil
}
