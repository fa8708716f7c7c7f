package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/lease"
)

// retired is how long the broker must be without a group for its events not to be kept any longer. A broker that lost its store has the
// group again when one of its subscribers comes back.
const retired = 24 * time.Hour

// known is a group of a topic, as the outbox remembers it and as the broker has it now.
type known struct {
	name string
	made int64         // by the broker's clock, when it was first seen
	gone int64         // since when the broker doesn't have it; 0 when it did the last time
	now  *events.Group // nil while the broker doesn't have it
}

// groups joins what the broker has with what the outbox remembers of it.
func (r *Relay) groups(ctx context.Context, l *lease.Lease, have map[string][]events.Group) (map[string][]known, error) {
	var out map[string][]known
	err := r.guarded(ctx, l, func(tx *sql.Tx) error {
		var err error
		if out, err = remembered(ctx, tx); err != nil {
			return err
		}
		return remember(ctx, tx, out, have, r.c.Now())
	})
	if err != nil {
		return nil, fmt.Errorf("remember the broker's groups: %w", err)
	}
	return out, nil
}

// remembered reads the groups seen so far, by topic.
func remembered(ctx context.Context, tx *sql.Tx) (map[string][]known, error) {
	rows, err := tx.QueryContext(ctx, `SELECT topic, name, made_at, gone_at FROM outbox_consumer`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	out := make(map[string][]known)
	for rows.Next() {
		var topic string
		var k known
		if err := rows.Scan(&topic, &k.name, &k.made, &k.gone); err != nil {
			return nil, err
		}
		out[topic] = append(out[topic], k)
	}
	return out, rows.Err()
}

// remember adds what the broker has now, and notes what it has no longer.
func remember(ctx context.Context, tx *sql.Tx, all map[string][]known, have map[string][]events.Group, now time.Time) error {
	for topic, groups := range have {
		for _, g := range groups {
			i := slices.IndexFunc(all[topic], func(k known) bool { return k.name == g.Name })
			if i >= 0 {
				all[topic][i].now = &g
				continue
			}
			made := g.Made.UnixMicro()
			if _, err := tx.ExecContext(ctx, `INSERT INTO outbox_consumer (topic, name, made_at) VALUES ($1, $2, $3)`, topic, g.Name, made); err != nil {
				return err
			}
			all[topic] = append(all[topic], known{name: g.Name, made: made, now: &g})
		}
	}
	for topic, list := range all {
		for _, k := range list {
			var err error
			switch {
			case k.now == nil && k.gone == 0:
				_, err = tx.ExecContext(ctx, `UPDATE outbox_consumer SET gone_at = $1 WHERE topic = $2 AND name = $3`, now.UnixMicro(), topic, k.name)
			case k.now == nil && now.Sub(time.UnixMicro(k.gone)) > retired:
				_, err = tx.ExecContext(ctx, `DELETE FROM outbox_consumer WHERE topic = $1 AND name = $2`, topic, k.name)
			case k.now != nil && k.gone != 0:
				_, err = tx.ExecContext(ctx, `UPDATE outbox_consumer SET gone_at = 0 WHERE topic = $1 AND name = $2`, topic, k.name)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
