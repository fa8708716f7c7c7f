package outbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go-micro.dev/v4/broker"
	"golang.org/x/sync/errgroup"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/lease"
)

// row is a pending event.
type row struct {
	key, topic, id, prior, trace string
	seq, again, tries            int64
	before                       int64 // the key's pending event before it, 0 for none
	priorAt                      int64
	body                         []byte
}

// outcome is what became of the rows of a round.
type outcome struct {
	mu     sync.Mutex
	done   []placed
	failed []row // the first of its key that failed
	err    error // the first
}

// placed is a published event, and where the broker keeps it.
type placed struct {
	id    string
	place uint64
}

// markWait bounds the transaction that marks what was published, also while the relay stops.
const markWait = 5 * time.Second

// round publishes one batch and marks what the broker acknowledged. It returns how many that were; err says why others were not.
func (r *Relay) round(ctx context.Context, l *lease.Lease) (int, error) {
	batch, err := r.pending(ctx)
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	ctx, finish := r.batched(ctx, batch)
	var out outcome
	defer func() { finish(out.err) }()
	send, giveUp := context.WithCancel(ctx)
	defer giveUp()
	var g errgroup.Group
	g.SetLimit(r.c.Lanes)
	for _, lane := range lanes(batch) {
		g.Go(func() error {
			r.lane(send, lane, &out, giveUp)
			return nil
		})
	}
	_ = g.Wait() // what failed is in out
	if len(out.done) == 0 && len(out.failed) == 0 {
		return 0, ctx.Err()
	}
	mark, cancel := context.WithTimeout(context.WithoutCancel(ctx), markWait)
	defer cancel()
	if err := r.mark(mark, l, &out); err != nil {
		return 0, err
	}
	r.c.Metrics.published.WithLabelValues(r.c.Module).Add(float64(len(out.done)))
	r.c.Metrics.failed.WithLabelValues(r.c.Module).Add(float64(len(out.failed)))
	return len(out.done), out.err
}

// lanes groups rows by key, each in its order. A row whose predecessor waits elsewhere isn't in its lane, nor what follows it.
func lanes(batch []row) [][]row {
	index := make(map[string]int)
	var out [][]row
	for _, x := range batch {
		i, ok := index[x.key]
		if !ok {
			i = len(out)
			index[x.key] = i
			out = append(out, nil)
		}
		at := len(out[i])
		for at > 0 && out[i][at-1].seq > x.seq { // clocks of several processes may have mixed them
			at--
		}
		out[i] = append(out[i], row{})
		copy(out[i][at+1:], out[i][at:])
		out[i][at] = x
	}
	for i, lane := range out {
		last := int64(0)
		for n, x := range lane {
			if x.before != last {
				out[i] = lane[:n]
				break
			}
			last = x.seq
		}
	}
	return out
}

// lane publishes the rows of one key one after the other, up to the first that fails. When nothing has got through by then, giveUp ends
// the round: the broker is away, and there is no use in waiting for it with every row.
func (r *Relay) lane(ctx context.Context, lane []row, out *outcome, giveUp func()) {
	for i, x := range lane {
		if i > 0 {
			x.priorAt = r.c.Now().UnixMicro() // a moment ago
		}
		p, err := r.send(ctx, x)
		out.mu.Lock()
		if err == nil {
			out.done = append(out.done, p)
			out.mu.Unlock()
			continue
		}
		if ctx.Err() == nil {
			out.failed = append(out.failed, x)
			if out.err == nil {
				out.err = err
			}
			if len(out.done) == 0 {
				giveUp()
			}
		}
		out.mu.Unlock()
		return
	}
}

// send publishes one event.
func (r *Relay) send(ctx context.Context, x row) (placed, error) {
	if err := r.c.Fault.Hit(ctx, "outbox.publish.before"); err != nil {
		return placed{}, err
	}
	ctx, trace, done := r.traced(ctx, x)
	h := map[string]string{
		events.HeaderContentType: events.ContentType, events.HeaderEventID: x.id, events.HeaderTraceparent: trace,
		HeaderKey: x.key, HeaderSeq: strconv.FormatInt(x.seq, 10), HeaderPriorAt: strconv.FormatInt(x.priorAt, 10),
	}
	if x.prior != "" {
		h[HeaderPrior] = x.prior
	}
	if x.again > 0 {
		h[events.HeaderAgain] = "/again" + strconv.FormatInt(x.again, 10)
	}
	m := &broker.Message{Header: h, Body: x.body}
	p := placed{id: x.id}
	var err error
	if r.keeper != nil {
		p.place, err = r.keeper.PublishPlaced(ctx, x.topic, m)
		for last := r.last.Load(); p.place > last && !r.last.CompareAndSwap(last, p.place); last = r.last.Load() {
		}
	} else {
		err = r.c.Broker.Publish(x.topic, m, broker.PublishContext(ctx))
	}
	done(err)
	return p, errors.Join(err, r.c.Fault.Hit(ctx, "outbox.publish.after"))
}

// maxBytes bounds the bodies of a batch.
const maxBytes = 4 << 20

// pending reads what is due, the oldest first. A key whose event waits for its next try has nothing due.
func (r *Relay) pending(ctx context.Context) ([]row, error) {
	rows, err := r.c.DB.QueryContext(ctx, `
		SELECT o.key, o.seq, o.event_id, o.topic, o.prior, o.traceparent, o.body, o.again, o.tries, COALESCE(b.published_at, 0),
			COALESCE((SELECT MAX(p.seq) FROM outbox p WHERE p.key = o.key AND p.seq < o.seq AND p.published_at = 0), 0)
		FROM outbox o LEFT JOIN outbox b ON b.key = o.key AND b.seq = o.seq - 1
		WHERE o.published_at = 0 AND o.retry_at <= $1 AND NOT EXISTS (
			SELECT 1 FROM outbox w WHERE w.key = o.key AND w.seq < o.seq AND w.published_at = 0 AND w.retry_at > $1)
		ORDER BY o.created_at, o.key, o.seq LIMIT $2`, r.c.Now().UnixMicro(), r.c.Batch)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var out []row
	for size := 0; size < maxBytes && rows.Next(); {
		var x row
		err := rows.Scan(&x.key, &x.seq, &x.id, &x.topic, &x.prior, &x.trace, &x.body, &x.again, &x.tries, &x.priorAt, &x.before)
		if err != nil {
			return nil, fmt.Errorf("read the outbox: %w", err)
		}
		size += len(x.body)
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return out, nil
}
