package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/lease"
)

// asking is how many questions the reconciler has open at the broker.
const asking = 8

// page is how many events are looked at, and how many are deleted, in one transaction.
const page = 256

// reconcile looks once at every published event that has settled: it forgets those that are done with, and makes those pending again that the
// broker has lost.
func (r *Relay) reconcile(ctx context.Context, l *lease.Lease) error {
	if r.keeper == nil {
		return r.forget(ctx, l, r.c.Keep)
	}
	last := r.last.Load() // before the question: what is published meanwhile is no sign of a loss
	have, err := r.keeper.Holdings(ctx)
	if err != nil {
		return err
	}
	groups, err := r.groups(ctx, l, have.Groups)
	if err != nil {
		return err
	}
	p := pass{groups: groups, all: have.Last < last || r.suspicious(have)}
	var after kept
	for {
		list, err := r.published(ctx, after)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			r.seen = have
			if p.all {
				r.asked = r.c.Now()
				r.last.CompareAndSwap(last, have.Last)
			}
			return nil
		}
		after = list[len(list)-1]
		if err := r.check(ctx, l, p, list); err != nil {
			return err
		}
	}
}

// pass is one look at all that is published.
type pass struct {
	groups map[string][]known
	all    bool // ask for every event, not only for those that every group is past
}

// askAll is how often the broker is asked for every event, also when nothing points to a loss.
const askAll = time.Minute

// suspicious says whether the broker may have lost something since the last pass.
func (r *Relay) suspicious(have events.Holdings) bool {
	return !have.Made.Equal(r.seen.Made) || have.Last < r.seen.Last || r.c.Now().Sub(r.asked) >= askAll
}

// kept is a published event.
type kept struct {
	id, topic   string
	place       uint64
	publishedAt int64
}

// published reads a page in the order of publication.
func (r *Relay) published(ctx context.Context, after kept) ([]kept, error) {
	rows, err := r.c.DB.QueryContext(ctx, `SELECT event_id, topic, place, published_at FROM outbox
		WHERE published_at > 0 AND published_at <= $1 AND (published_at > $2 OR (published_at = $2 AND event_id > $3))
		ORDER BY published_at, event_id LIMIT $4`, r.c.Now().Add(-r.c.Settle).UnixMicro(), after.publishedAt, after.id, page)
	if err != nil {
		return nil, fmt.Errorf("read published events: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var out []kept
	for rows.Next() {
		var k kept
		if err := rows.Scan(&k.id, &k.topic, &k.place, &k.publishedAt); err != nil {
			return nil, fmt.Errorf("read published events: %w", err)
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// fate is what to do with a published event.
type fate int

const (
	keep fate = iota
	done
	lost
	expired
)

// check decides about a page and writes it down.
func (r *Relay) check(ctx context.Context, l *lease.Lease, p pass, list []kept) error {
	var mu sync.Mutex
	ids := make(map[fate][]string)
	g, ask := errgroup.WithContext(ctx)
	g.SetLimit(asking)
	for _, k := range list {
		g.Go(func() error {
			f, err := r.fate(ask, p, k)
			mu.Lock()
			defer mu.Unlock()
			ids[f] = append(ids[f], k.id)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	gone := slices.Concat(ids[done], ids[expired])
	if len(gone)+len(ids[lost]) == 0 {
		return nil
	}
	err := r.guarded(ctx, l, func(tx *sql.Tx) error {
		if err := deleteEvents(ctx, tx, gone); err != nil {
			return err
		}
		return republish(ctx, tx, ids[lost])
	})
	if err != nil {
		return fmt.Errorf("write down what the broker kept: %w", err)
	}
	if n := len(ids[lost]); n > 0 {
		r.c.Metrics.republished.WithLabelValues(r.c.Module).Add(float64(n))
		r.c.Log.WarnContext(ctx, "the broker has lost events that it had acknowledged; publishing them again", "events", n)
	}
	if n := len(ids[expired]); n > 0 {
		r.c.Metrics.expired.WithLabelValues(r.c.Module).Add(float64(n))
		r.c.Log.WarnContext(ctx, "forgot events that a group never was done with", "events", n, "after", r.c.KeepMost)
	}
	return nil
}

// fate decides about one event. It is done when the broker still has it and every group that ever was is past it. A group that the broker has
// lost, and was made again after the event, never got it.
func (r *Relay) fate(ctx context.Context, p pass, k kept) (fate, error) {
	age := r.c.Now().Sub(time.UnixMicro(k.publishedAt))
	switch {
	case age > r.c.KeepMost:
		return expired, nil
	case k.place == 0: // published on another broker
		if age > r.c.Keep {
			return done, nil
		}
		return keep, nil
	}
	f, again := done, false
	for _, g := range p.groups[k.topic] {
		if g.now == nil || g.now.Done < k.place {
			f = keep
		}
		again = again || g.now != nil && g.now.Made.UnixMicro() > g.made
	}
	if f == keep && !again && !p.all {
		return keep, nil
	}
	id, since, err := r.keeper.Kept(ctx, k.topic, k.place)
	if err != nil {
		return keep, err
	}
	if id != k.id {
		return lost, nil
	}
	for _, g := range p.groups[k.topic] {
		if g.now != nil && g.now.Made.UnixMicro() > g.made && g.now.Made.After(since) {
			return lost, nil
		}
	}
	return f, nil
}
