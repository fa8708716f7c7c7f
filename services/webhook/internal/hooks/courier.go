package hooks

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cleavehq/cleave/chassis/egress"
	"github.com/cleavehq/cleave/chassis/hook"
	"github.com/cleavehq/cleave/chassis/lease"
)

const (
	// lookEvery is how often the courier looks for what is due when nothing tells it to.
	lookEvery = 100 * time.Millisecond
	// pruneEvery is how often it deletes what is long over.
	pruneEvery = time.Hour
	// recordTime is for how long an attempt that ended may be written down when the module stops.
	recordTime = 5 * time.Second
)

// Courier sends what is due. One works at a time, of all instances of the module: it holds a lease.
type Courier struct {
	queue  Queue
	sender Sender
	now    func() time.Time
	log    *slog.Logger
}

// NewCourier makes a Courier. All of its arguments are needed.
func NewCourier(q Queue, s Sender, now func() time.Time, log *slog.Logger) (*Courier, error) {
	if q == nil || s == nil || now == nil || log == nil {
		return nil, errors.New("webhook: a queue, a sender, a clock and a log are all needed")
	}
	return &Courier{queue: q, sender: s, now: now, log: log}, nil
}

// round is a courier at work under one lease.
type round struct {
	*Courier
	lease *lease.Lease
	wg    sync.WaitGroup
	// more is told when a delivery has ended: there may be room for another.
	more chan struct{}

	mu  sync.Mutex
	out map[string]map[string]bool // deliveries on their way, by endpoint
	// ended are those that have ended since the courier began to look: what it sees of them may be old.
	ended map[string]bool
}

// Work sends until ctx ends, and returns when nothing is on its way any more. Each endpoint has a few deliveries of its own on their way, so
// that one that is slow holds up nobody else. An attempt that ctx's end cuts short is not counted, and its delivery is sent again.
func (c *Courier) Work(ctx context.Context, l *lease.Lease) error {
	r := &round{Courier: c, lease: l, more: make(chan struct{}, 1), out: map[string]map[string]bool{}, ended: map[string]bool{}}
	defer r.wg.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var pruned time.Time
	for {
		r.mu.Lock()
		r.ended = map[string]bool{}
		r.mu.Unlock()
		due, err := c.queue.Due(ctx, c.now(), 2*PerEndpoint)
		if err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "what is due can't be read; trying again", "error", err)
		}
		for _, p := range due {
			r.begin(ctx, p)
		}
		if now := c.now(); now.Sub(pruned) >= pruneEvery {
			pruned = now
			r.prune(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.more:
		}
	}
}

// begin sends a parcel, unless it is on its way already or its endpoint has no room.
func (r *round) begin(ctx context.Context, p Parcel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	mine := r.out[p.EndpointID]
	if mine[p.ID] || r.ended[p.ID] || len(mine) >= PerEndpoint {
		return
	}
	if mine == nil {
		mine = map[string]bool{}
		r.out[p.EndpointID] = mine
	}
	mine[p.ID] = true
	r.wg.Go(func() {
		r.deliver(ctx, p)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(mine, p.ID)
		r.ended[p.ID] = true
		if len(mine) == 0 {
			delete(r.out, p.EndpointID)
		}
		select {
		case r.more <- struct{}{}:
		default:
		}
	})
}

// deliver makes one attempt, and writes down how it ended.
func (r *round) deliver(ctx context.Context, p Parcel) {
	answer, err := r.attempt(ctx, p)
	if ctx.Err() != nil && err != nil {
		return // cut short by us
	}
	result := r.judge(p, answer, err)
	level := slog.LevelDebug
	if result.State == Dead {
		level = slog.LevelWarn
	}
	// The cause may hold what a name or a certificate of the endpoint says, and nothing of ours.
	r.log.LogAttrs(ctx, level, "a webhook was attempted", slog.String("delivery_id", p.ID), slog.String("endpoint_id", p.EndpointID),
		slog.String("state", string(result.State)), slog.Int("attempts", result.Attempts), slog.Int("status", result.Status), slog.Any("error", err))
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := r.queue.Record(save, r.lease, result); err != nil {
		r.log.LogAttrs(ctx, slog.LevelWarn, "an attempt is not written down: it will be made again", slog.String("delivery_id", p.ID), slog.Any("error", err))
	}
}

func (r *round) attempt(ctx context.Context, p Parcel) (egress.Answer, error) {
	header, err := hook.Headers(p.EventID, r.now(), p.Body, p.Secrets...)
	if err != nil {
		return egress.Answer{}, err
	}
	header["Content-Type"] = "application/json"
	return r.sender.Post(ctx, p.URL, header, p.Body)
}

// judge says what an answer means.
func (c *Courier) judge(p Parcel, a egress.Answer, err error) Result {
	r := Result{Delivery: p.Delivery, Before: p.Attempts}
	r.Attempts, r.Status, r.Why, r.Updated = p.Attempts+1, a.Status, "", c.now().UTC().Truncate(time.Microsecond)
	switch {
	case errors.Is(err, egress.ErrForbidden):
		r.Why = FailForbidden
	case errors.Is(err, context.DeadlineExceeded):
		r.Why = FailTimeout
	case err != nil:
		r.Why = FailReach
	case a.Status >= 200 && a.Status <= 299:
		r.State = Delivered
		return r
	case a.Status == 410:
		r.State, r.Why = Dead, FailGone
		return r
	default:
		r.Why = FailStatus
	}
	wait, again := pause(r.Attempts, a.RetryAfter)
	if !again {
		r.State = Dead
		return r
	}
	r.State, r.Next = Pending, r.Updated.Add(wait)
	return r
}

func (r *round) prune(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := r.queue.Prune(ctx, r.lease, r.now().Add(-Keep))
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "old deliveries can't be deleted", "error", err)
		}
		if err != nil || n == 0 {
			return
		}
		r.log.InfoContext(ctx, "old deliveries are deleted", "count", n)
	}
}
