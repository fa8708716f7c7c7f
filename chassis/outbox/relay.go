package outbox

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/broker"
	"golang.org/x/sync/errgroup"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// RelayConfig says what to publish, and where. DB, Broker and Owner are needed.
type RelayConfig struct {
	DB     *sql.DB
	Broker broker.Broker
	// Owner is unique for each process and module, for the lease.
	Owner string
	// Module is a label of the metrics.
	Module string
	Log    *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Fault is hit at outbox.publish.before and after each event, and outbox.mark.before and after each batch.
	Fault *fault.Points
	// Metrics may be nil.
	Metrics *Metrics
	// Tracer records what is published; nil for nothing.
	Tracer *telemetry.Tracer

	// Batch is how many events are read at once, at most 4 MiB of them and at least one; default 256. It bounds the relay's memory.
	Batch int
	// Lanes is how many keys are published at the same time; default 16.
	Lanes int
	// Poll is how often the relay looks for what other processes have appended; default 200 ms. What this process commits with data.Tx
	// wakes it.
	Poll time.Duration
	// Settle is how long after the acknowledgement the reconciler first looks at an event, and how long it rests when it has seen all;
	// default 2 s.
	Settle time.Duration
	// Keep is how long an event is kept after the acknowledgement of a broker that is no events.Keeper; default an hour.
	Keep time.Duration
	// KeepMost is how long an event is kept that a group isn't done with; default 7 days, as long as the brokers of package events keep it.
	KeepMost time.Duration
	// Remember is how long it is known by its id that an event was applied; default 30 days, longer than those brokers keep a dead letter.
	Remember time.Duration
	// TTL of the lease; default lease.Config's.
	TTL time.Duration
}

// Relay publishes the events of one module's outbox.
type Relay struct {
	c      RelayConfig
	keeper events.Keeper // nil when the broker is none
	wake   chan struct{}
	last   atomic.Uint64 // the highest place that the broker gave

	// Of the reconciler: what the broker had at the end of its last pass, and when it last asked for every event.
	seen  events.Holdings
	asked time.Time
}

// leaseName is the lease under which one relay of a module works.
const leaseName = "outbox.relay"

// NewRelay makes a relay that does nothing yet.
func NewRelay(c RelayConfig) (*Relay, error) {
	if c.DB == nil || c.Broker == nil || c.Owner == "" {
		return nil, errors.New("new relay: DB, Broker and Owner are needed")
	}
	for _, d := range []time.Duration{c.Poll, c.Settle, c.Keep, c.KeepMost, c.Remember, c.TTL} {
		if d < 0 {
			return nil, errors.New("new relay: a time is negative")
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Metrics == nil {
		c.Metrics, _ = NewMetrics(nil) // without a registerer nothing can be taken
	}
	if c.Batch <= 0 {
		c.Batch = 256
	}
	if c.Lanes <= 0 {
		c.Lanes = 16
	}
	setDefault(&c.Poll, 200*time.Millisecond)
	setDefault(&c.Settle, 2*time.Second)
	setDefault(&c.Keep, time.Hour)
	setDefault(&c.KeepMost, 7*24*time.Hour)
	setDefault(&c.Remember, 30*24*time.Hour)
	r := &Relay{c: c, wake: make(chan struct{}, 1)}
	if on, ok := c.Broker.(*bound); ok {
		r.c.Broker = on.Broker
	}
	r.keeper, _ = r.c.Broker.(events.Keeper)
	return r, nil
}

func setDefault(d *time.Duration, otherwise time.Duration) {
	if *d == 0 {
		*d = otherwise
	}
}

// Run publishes until ctx ends, whenever this relay has the lease. It returns nil, after its last write.
func (r *Relay) Run(ctx context.Context) error {
	stop := data.OnCommit(r.c.DB, func() {
		select {
		case r.wake <- struct{}{}:
		default: // it is about to look
		}
	})
	defer stop()
	return lease.Run(ctx, lease.Config{
		DB: r.c.DB, Name: leaseName, Owner: r.c.Owner, TTL: r.c.TTL, Now: r.c.Now, Log: r.c.Log,
	}, r.work)
}

// work publishes, reconciles and tidies until ctx ends or the lease is another's.
func (r *Relay) work(ctx context.Context, l *lease.Lease) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.publish(ctx, l) })
	g.Go(func() error {
		return r.every(ctx, r.c.Settle, "reconcile the outbox", func() error { return r.reconcile(ctx, l) })
	})
	g.Go(func() error {
		return r.every(ctx, measureEvery, "measure the outbox", func() error { return r.measure(ctx) })
	})
	g.Go(func() error { return r.every(ctx, tidyEvery, "tidy the inbox", func() error { return r.tidy(ctx, l) }) })
	return g.Wait()
}

// every runs fn until ctx ends, or fn finds that the lease is another's.
func (r *Relay) every(ctx context.Context, d time.Duration, what string, fn func() error) error {
	for pause(ctx, d) == nil {
		err := fn()
		if errors.Is(err, lease.ErrFenced) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			r.c.Log.WarnContext(ctx, "failed, and will be tried again", "what", what, "error", err)
		}
	}
	return nil
}

// linger lets transactions that commit together be published together.
const linger = 2 * time.Millisecond

// publish runs rounds until ctx ends. It rests when there is nothing, and longer and longer while nothing gets through.
func (r *Relay) publish(ctx context.Context, l *lease.Lease) error {
	var down time.Time // since when nothing got through
	for failures := 0; ctx.Err() == nil; {
		n, err := r.round(ctx, l)
		if errors.Is(err, lease.ErrFenced) {
			return err
		}
		switch {
		case n > 0 && !down.IsZero():
			if outage := r.c.Now().Sub(down); outage > forgive {
				r.c.Log.InfoContext(ctx, "events are published again", "after", outage)
				err = errors.Join(err, r.retryAll(ctx, l))
			}
			down, failures = time.Time{}, 0
		case n == 0 && err != nil && down.IsZero():
			down = r.c.Now()
			r.c.Log.WarnContext(ctx, "no event gets through; they wait in the outbox", "error", err)
		}
		switch {
		case n > 0:
			failures = 0
		case err != nil:
			failures++
			_ = pause(ctx, min(100*time.Millisecond<<min(failures, 5), 2*time.Second)) // the loop looks at ctx
		default:
			r.rest(ctx)
		}
	}
	return nil
}

// rest waits for a commit in this process, or for the time to look what others did.
func (r *Relay) rest(ctx context.Context) {
	t := time.NewTimer(r.c.Poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-r.wake:
		_ = pause(ctx, linger)
	}
}
