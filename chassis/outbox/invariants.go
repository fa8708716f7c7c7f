package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cleavehq/cleave/chassis/verify"
)

// Invariants are the laws of the tables of Schema.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "events_published",
			Law:  "every event in the outbox was published",
			SQL:  "SELECT topic, key, event_id FROM outbox WHERE published_at = 0 ORDER BY created_at, event_id",
		},
		{
			Name: "events_none_passed_over",
			Law:  "no consumer went on without an event",
			SQL:  "SELECT consumer, topic, key FROM inbox_gap WHERE why <> 'before' ORDER BY consumer, topic, key, last",
		},
		{
			Name: "leases_one_epoch",
			Law:  "a lease has one epoch, and its heartbeat isn't ahead of it",
			SQL: `SELECT b.name, b.epoch AS beat_epoch, l.epoch FROM lease_beat b LEFT JOIN lease l ON l.name = b.name
				WHERE l.name IS NULL OR b.epoch > l.epoch OR l.epoch < 1 ORDER BY b.name`,
		},
	}
}

// EventsApplied is the law between the modules' outboxes and inboxes: what one of them published, and still has, was applied by every
// consumer that had asked for it by then. That none applies an event twice is the inbox's unique key. modules are those of the view that
// have the tables of Schema.
func EventsApplied(modules ...string) verify.Across {
	return verify.Across{
		Name: "events_applied",
		Law:  "every published event was applied by each of its consumers",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			for _, module := range modules {
				subscriptions, err := subscriptions(ctx, v[module])
				if err != nil {
					return fmt.Errorf("read the inbox of %s: %w", module, err)
				}
				for _, s := range subscriptions {
					for _, from := range modules {
						if err := s.missing(ctx, v[from], v[module], report); err != nil {
							return fmt.Errorf("compare the outbox of %s with the inbox of %s: %w", from, module, err)
						}
					}
				}
			}
			return nil
		},
	}
}

// asked is what one consumer asked for.
type asked struct {
	consumer, topic string
	since           int64
}

func subscriptions(ctx context.Context, tx *sql.Tx) (out []asked, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT consumer, topic, since FROM inbox_topic ORDER BY consumer, topic")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var a asked
		if err := rows.Scan(&a.consumer, &a.topic, &a.since); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// missing reports the events of a topic that are in the outbox and not in the inbox, a batch at a time.
func (a asked) missing(ctx context.Context, outbox, inbox *sql.Tx, report verify.Report) error {
	const batch = 500
	after := ""
	for {
		ids, err := texts(outbox.QueryContext(ctx, `SELECT event_id FROM outbox WHERE topic = $1 AND created_at >= $2 AND published_at > 0
			AND event_id > $3 ORDER BY event_id LIMIT $4`, a.topic, a.since, after, int64(batch)))
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		in, args := make([]string, len(ids)), []any{a.consumer}
		for i, id := range ids {
			args = append(args, id)
			in[i] = "$" + strconv.Itoa(i+2)
		}
		have, err := texts(inbox.QueryContext(ctx, "SELECT event_id FROM inbox WHERE consumer = $1 AND event_id IN ("+strings.Join(in, ", ")+")", args...))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !slices.Contains(have, id) {
				report("consumer=%s topic=%s event_id=%s", a.consumer, a.topic, id)
			}
		}
	}
}

func texts(rows *sql.Rows, err error) (out []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
