package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/events"
)

// ReasonOutOfOrder begins the reason of a dead letter that came after later events of its key had been applied without it.
const ReasonOutOfOrder = "OUT_OF_ORDER"

// result is what a transaction made of an event.
type result int

const (
	applied   result = iota
	duplicate        // it had been applied
	soon             // an earlier one is missing; look again at once
	wait             // an earlier one is missing; hand it back
	late             // the consumer went on without it
)

// An earlier event may be in the hands of another instance at this moment: before an event is handed back for the first time the inbox looks
// a few times itself.
const (
	soonTries = 3
	soonWait  = 10 * time.Millisecond
)

// application is one event on its way through one subscription.
type application struct {
	*subscription
	id     string
	at     *stamp // nil: not from an outbox, and in no order
	replay bool   // an operator wants it applied
	fn     func(ctx context.Context, tx *sql.Tx) error

	try     int
	result  result
	missing string // what it waits for
	gaps    int
	fnErr   error
}

// run is one transaction. The inbox row, the place in the key's order, and what fn writes commit together.
func (a *application) run(ctx context.Context, tx *sql.Tx) (err error) {
	a.gaps = 0
	if a.at != nil {
		if a.result, err = a.place(ctx, tx); err != nil || a.result != applied {
			return err
		}
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO inbox (consumer, event_id, topic, applied_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (consumer, event_id) DO NOTHING`, a.consumer, a.id, a.topic, a.inbox.Now().UnixMicro())
	if err != nil {
		return fmt.Errorf("note the event: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		a.result = duplicate
		return err
	}
	a.result = applied
	if a.fnErr = a.inbox.Fault.Hit(ctx, "inbox.apply.before"); a.fnErr == nil {
		a.fnErr = a.fn(data.WithTx(ctx, a.db, tx), tx)
	}
	return a.fnErr
}

// finish tells what was committed.
func (a *application) finish(ctx context.Context) error {
	m := a.inbox.Metrics
	switch a.result {
	case applied, soon: // nobody finishes with soon
	case duplicate:
		m.duplicates.WithLabelValues(a.consumer).Inc()
		return nil
	case wait:
		m.waits.WithLabelValues(a.consumer).Inc()
		return events.Later(fmt.Errorf("%s of key %s isn't applied yet", a.missing, a.at.key))
	case late:
		return events.Permanent(fmt.Errorf("%s: later events of key %s were applied without number %d", ReasonOutOfOrder, a.at.key, a.at.seq))
	}
	m.applied.WithLabelValues(a.consumer).Inc()
	if a.gaps > 0 {
		m.gaps.WithLabelValues(a.consumer).Add(float64(a.gaps))
		a.inbox.Log.WarnContext(ctx, "an earlier event never came; went on without it", "consumer", a.consumer, "topic", a.topic,
			"key", a.at.key, "seq", a.at.seq, "missing", a.missing)
	}
	return a.inbox.Fault.Hit(ctx, "inbox.apply.after")
}

// place finds out whether it is the event's turn, and if so takes its place.
func (a *application) place(ctx context.Context, tx *sql.Tx) (result, error) {
	heads, err := a.heads(ctx, tx)
	if err != nil {
		return 0, err
	}
	if a.at.seq <= heads[a.topic] {
		return a.past(ctx, tx)
	}
	r, err := a.turn(ctx, tx, heads)
	if err != nil || r != applied {
		return r, err
	}
	if a.replay {
		given, err := a.inGap(ctx, tx, a.at.key, a.topic, a.at.seq)
		if err == nil && given {
			err = a.heal(ctx, tx, a.at.key, a.topic, a.at.prior[a.topic], a.at.seq)
		}
		if err != nil {
			return 0, err
		}
	}
	return applied, a.advance(ctx, tx, a.topic, a.at.seq)
}

// past decides about an event that its consumer has gone past.
func (a *application) past(ctx context.Context, tx *sql.Tx) (result, error) {
	seen, err := exists(ctx, tx, `SELECT 1 FROM inbox WHERE consumer = $1 AND event_id = $2`, a.consumer, a.id)
	if err != nil || seen {
		return duplicate, err
	}
	skipped, err := a.inGap(ctx, tx, a.at.key, a.topic, a.at.seq)
	switch {
	case err != nil:
		return 0, err
	case !skipped: // its inbox row was so old that it has been cleared away
		return duplicate, nil
	case a.replay:
		return applied, a.heal(ctx, tx, a.at.key, a.topic, a.at.prior[a.topic], a.at.seq)
	}
	return late, nil
}

// turn looks for every earlier event that this consumer must have applied. Those that it stops waiting for become gaps.
func (a *application) turn(ctx context.Context, tx *sql.Tx, heads map[string]int64) (result, error) {
	expired := false
	for topic, seq := range a.at.prior {
		since, subscribed := a.since(a.consumer, topic)
		if !subscribed || heads[topic] >= seq {
			continue
		}
		skipped, err := a.inGap(ctx, tx, a.at.key, topic, seq)
		if err != nil {
			return 0, err
		}
		if skipped {
			continue
		}
		why := gapBefore
		if heads[topic] > 0 || a.at.priorAt >= since { // else the key began before the consumer did: it never gets those
			a.missing = fmt.Sprintf("%s, number %d", topic, seq)
			if !expired {
				r, err := a.wait(ctx, tx)
				if err != nil || r != applied {
					return r, err
				}
			}
			expired = true
			a.gaps++
			why = gapMissing
		}
		if err := a.gap(ctx, tx, a.at.key, topic, heads[topic], seq, why); err != nil {
			return 0, err
		}
		if err := a.advance(ctx, tx, topic, seq); err != nil {
			return 0, err
		}
	}
	return applied, nil
}

// wait notes that the event waits; applied when it has waited long enough.
func (a *application) wait(ctx context.Context, tx *sql.Tx) (result, error) {
	now := a.inbox.Now()
	var since int64
	err := tx.QueryRowContext(ctx, `SELECT since FROM inbox_wait WHERE consumer = $1 AND event_id = $2`, a.consumer, a.id).Scan(&since)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if a.try < soonTries {
			return soon, nil
		}
	case err != nil:
		return 0, fmt.Errorf("look up how long it has waited: %w", err)
	case now.Sub(time.UnixMicro(since)) >= a.inbox.Wait:
		return applied, nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO inbox_wait (consumer, event_id, since, times) VALUES ($1, $2, $3, 1)
		ON CONFLICT (consumer, event_id) DO UPDATE SET times = inbox_wait.times + 1`, a.consumer, a.id, now.UnixMicro())
	if err != nil {
		return 0, fmt.Errorf("note that it waits: %w", err)
	}
	return wait, nil
}

// heads says how far the consumer is with the key, by topic.
func (a *application) heads(ctx context.Context, tx *sql.Tx) (map[string]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT topic, seq FROM inbox_key WHERE consumer = $1 AND key = $2`, a.consumer, a.at.key)
	if err != nil {
		return nil, fmt.Errorf("look up the key: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	out := make(map[string]int64)
	for rows.Next() {
		var topic string
		var seq int64
		if err := rows.Scan(&topic, &seq); err != nil {
			return nil, fmt.Errorf("look up the key: %w", err)
		}
		out[topic] = seq
	}
	return out, rows.Err()
}

func (a *application) advance(ctx context.Context, tx *sql.Tx, topic string, seq int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO inbox_key (consumer, key, topic, seq) VALUES ($1, $2, $3, $4)
		ON CONFLICT (consumer, key, topic) DO UPDATE SET seq = excluded.seq`, a.consumer, a.at.key, topic, seq)
	if err != nil {
		return fmt.Errorf("note the place: %w", err)
	}
	return nil
}

func exists(ctx context.Context, tx *sql.Tx, query string, args ...any) (bool, error) {
	var one int
	err := tx.QueryRowContext(ctx, query+" LIMIT 1", args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up: %w", err)
	}
	return true, nil
}
