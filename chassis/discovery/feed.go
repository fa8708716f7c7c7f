package discovery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

// feedConfig says what a feed asks for and where its answers go.
type feedConfig[T any] struct {
	what     string
	grace    time.Duration
	log      *slog.Logger
	level    slog.Level // of outages
	fetch    func(ctx context.Context, q *api.QueryOptions) (T, *api.QueryMeta, error)
	merge    func(old, fresh T) T
	publish  func(T)
	returned func() // after an outage, at the first good answer; may be nil
}

// feed repeats one blocking query, by the rules of
// https://developer.hashicorp.com/consul/api-docs/features/blocking: an index that went backwards starts again at 0, an
// index below 1 counts as 1, errors back off with jitter, and answers that come at once are held down in rate.
type feed[T any] struct {
	feedConfig[T]
	pinned bool // guarded by the owner: a watcher wants it, so keep asking though Consul does not list the name

	tried chan struct{} // closed after the first attempt
	quit  chan struct{}
	once  sync.Once

	mu     sync.Mutex
	loaded bool
	err    error
}

func newFeed[T any](conf feedConfig[T]) *feed[T] {
	return &feed[T]{feedConfig: conf, tried: make(chan struct{}), quit: make(chan struct{})}
}

func (f *feed[T]) stop() { f.once.Do(func() { close(f.quit) }) }

// wait returns when a good answer was had at some time. Before that it returns the error of the last attempt, and blocks
// only until the first one ended.
func (f *feed[T]) wait(ctx context.Context) error {
	select {
	case <-f.tried:
	default:
		select {
		case <-f.tried:
		case <-f.quit:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded {
		return nil
	}
	return f.err
}

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	pace         = 20 * time.Millisecond
	answerWait   = 10 * time.Second
)

// run asks until ctx ends or stop is called.
func (f *feed[T]) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-f.quit:
			cancel()
		case <-ctx.Done():
		}
	}()

	var (
		last    T
		index   uint64
		outage  bool
		until   time.Time // instances that went are kept before this
		backoff time.Duration
		first   = true
	)
	for ctx.Err() == nil {
		began := time.Now()
		wait := longPoll
		if left := until.Sub(began); left > 0 && left < wait {
			wait = left
		}
		// Consul adds up to a sixteenth of jitter to the wait, and none where it has no index to wait for; beyond that the
		// connection is dead.
		limit := answerWait
		if index > 0 {
			limit += wait + wait/16
		}
		qctx, done := context.WithTimeout(ctx, limit)
		fresh, meta, err := f.fetch(qctx, &api.QueryOptions{WaitIndex: index, WaitTime: wait})
		done()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if !outage {
				f.log.Log(ctx, f.level, "lost Consul; keeping the last answer", "query", f.what, "error", err)
			}
			outage, index = true, 0
			f.settle(&first, err)
			backoff = min(max(2*backoff, firstBackoff), lastBackoff)
			pause(ctx, backoff/2+rand.N(backoff/2)) //nolint:gosec // jitter
			continue
		}
		backoff = 0
		next := max(meta.LastIndex, 1)
		if next < index {
			f.log.Log(ctx, f.level, "Consul's index went backwards; keeping the last answer for a while", "query", f.what)
			outage, next = true, 0
		}
		index = next
		if outage {
			outage = false
			until = time.Now().Add(f.grace)
			f.log.Log(ctx, f.level, "Consul is back", "query", f.what)
			if f.returned != nil {
				f.returned()
			}
		}
		if time.Now().Before(until) && !first {
			fresh = f.merge(last, fresh)
		}
		last = fresh
		f.publish(fresh)
		f.settle(&first, nil)
		if spent := time.Since(began); spent < pace {
			pause(ctx, pace-spent)
		}
	}
}

// settle records an attempt.
func (f *feed[T]) settle(first *bool, err error) {
	f.mu.Lock()
	f.err = err
	f.loaded = f.loaded || err == nil
	f.mu.Unlock()
	if err == nil {
		*first = false
	}
	select {
	case <-f.tried:
	default:
		close(f.tried)
	}
}

// pause waits for d or for ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
