package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/lease"
)

const (
	measureEvery = 5 * time.Second
	tidyEvery    = 10 * time.Minute
)

// forget deletes what was published longer ago than that.
func (r *Relay) forget(ctx context.Context, l *lease.Lease, after time.Duration) error {
	return r.clear(ctx, l, `DELETE FROM outbox WHERE event_id IN
		(SELECT event_id FROM outbox WHERE published_at > 0 AND published_at < $1 ORDER BY published_at LIMIT $2)`, after)
}

// tidy deletes what no event can need any more. An event that comes later still is known as applied by its number.
func (r *Relay) tidy(ctx context.Context, l *lease.Lease) error {
	for _, query := range []string{
		`DELETE FROM inbox WHERE (consumer, event_id) IN (SELECT consumer, event_id FROM inbox WHERE applied_at < $1 ORDER BY applied_at LIMIT $2)`,
		`DELETE FROM inbox_wait WHERE (consumer, event_id) IN (SELECT consumer, event_id FROM inbox_wait WHERE since < $1 ORDER BY since LIMIT $2)`,
		`DELETE FROM inbox_gap WHERE (consumer, key, topic, last) IN
			(SELECT consumer, key, topic, last FROM inbox_gap WHERE made_at < $1 ORDER BY made_at LIMIT $2)`,
	} {
		if err := r.clear(ctx, l, query, r.c.Remember); err != nil {
			return err
		}
	}
	return nil
}

// clear runs a DELETE of rows before $1, at most $2, until it finds no more.
func (r *Relay) clear(ctx context.Context, l *lease.Lease, query string, after time.Duration) error {
	for {
		var n int64
		err := r.guarded(ctx, l, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, query, r.c.Now().Add(-after).UnixMicro(), page)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return fmt.Errorf("clear away old rows: %w", err)
		}
		if n < page {
			return nil
		}
	}
}

// measure sets the gauges.
func (r *Relay) measure(ctx context.Context) error {
	var n, oldest int64
	now := r.c.Now()
	err := r.c.DB.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(created_at), $1) FROM outbox WHERE published_at = 0`, now.UnixMicro()).Scan(&n, &oldest)
	if err != nil {
		return fmt.Errorf("count pending events: %w", err)
	}
	r.c.Metrics.pending.WithLabelValues(r.c.Module).Set(float64(n))
	r.c.Metrics.oldest.WithLabelValues(r.c.Module).Set(now.Sub(time.UnixMicro(oldest)).Seconds())
	return nil
}

func deleteEvents(ctx context.Context, tx *sql.Tx, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	in, args := idList(1, ids)
	_, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE event_id IN (`+in+`)`, args...) //nolint:gosec // ordinals only
	return err
}

func republish(ctx context.Context, tx *sql.Tx, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	in, args := idList(1, ids)
	//nolint:gosec // ordinals only
	_, err := tx.ExecContext(ctx, `UPDATE outbox SET published_at = 0, place = 0, again = again + 1 WHERE event_id IN (`+in+`)`, args...)
	return err
}
