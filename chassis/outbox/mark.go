package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/lease"
)

// forgive is how long an outage must have been for every event to be due again when it is over.
const forgive = 3 * time.Second

// guarded runs fn in a transaction that only the owner of the lease can commit.
func (r *Relay) guarded(ctx context.Context, l *lease.Lease, fn func(tx *sql.Tx) error) error {
	return data.Tx(ctx, r.c.DB, func(tx *sql.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		return fn(tx)
	})
}

// mark writes down what became of a round.
func (r *Relay) mark(ctx context.Context, l *lease.Lease, out *outcome) error {
	if err := r.c.Fault.Hit(ctx, "outbox.mark.before"); err != nil {
		return err
	}
	now := r.c.Now()
	err := r.guarded(ctx, l, func(tx *sql.Tx) error {
		if err := markPublished(ctx, tx, now.UnixMicro(), out.done); err != nil {
			return err
		}
		for _, x := range out.failed {
			due := now.Add(retryIn(x.tries + 1)).UnixMicro()
			if _, err := tx.ExecContext(ctx, `UPDATE outbox SET tries = tries + 1, retry_at = $1 WHERE event_id = $2`, due, x.id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark published events: %w", err)
	}
	return r.c.Fault.Hit(ctx, "outbox.mark.after")
}

// retryIn is the delay after the nth failure of an event: seconds while an outage may be short, then up to five minutes.
func retryIn(n int64) time.Duration {
	if n <= 10 {
		return min(200*time.Millisecond<<min(n, 10), 5*time.Second)
	}
	return min(5*time.Second<<min(n-10, 10), 5*time.Minute)
}

// retryAll makes every pending event due: what failed during an outage needn't wait for its own time.
func (r *Relay) retryAll(ctx context.Context, l *lease.Lease) error {
	err := r.guarded(ctx, l, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE outbox SET retry_at = 0 WHERE published_at = 0 AND retry_at > 0`)
		return err
	})
	if err != nil {
		return fmt.Errorf("make all events due: %w", err)
	}
	return nil
}

// markPublished is one statement for all: on PostgreSQL each is a way there and back.
func markPublished(ctx context.Context, tx *sql.Tx, now int64, list []placed) error {
	if len(list) == 0 {
		return nil
	}
	args := []any{now}
	var places, ids strings.Builder
	for i, p := range list {
		if i > 0 {
			ids.WriteString(", ")
		}
		args = append(args, p.id, int64(p.place)) //nolint:gosec // a stream doesn't live long enough
		id, place := "$"+strconv.Itoa(2*i+2), "$"+strconv.Itoa(2*i+3)
		places.WriteString(" WHEN " + id + " THEN CAST(" + place + " AS BIGINT)")
		ids.WriteString(id)
	}
	//nolint:gosec // nothing but ordinals is put in
	_, err := tx.ExecContext(ctx, `UPDATE outbox SET published_at = $1, tries = 0, retry_at = 0, place = CASE event_id`+places.String()+
		` END WHERE event_id IN (`+ids.String()+`)`, args...)
	return err
}

// idList is "$first, $first+1, ..." and the arguments for it.
func idList(first int, ids []string) (string, []any) {
	ordinals, args := make([]string, len(ids)), make([]any, len(ids))
	for i, id := range ids {
		ordinals[i], args[i] = "$"+strconv.Itoa(first+i), id
	}
	return strings.Join(ordinals, ", "), args
}
