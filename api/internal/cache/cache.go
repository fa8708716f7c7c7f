// Package cache keeps answers for as long as they are good (RFC 9111), and a little longer while a new one is fetched (stale-while-revalidate,
// RFC 5861). Of many who miss the same answer at the same time one asks, and all get what comes; the question goes on as long as one of them
// waits. What is kept is bounded in bytes, and what is seldom asked for goes first (W-TinyLFU, github.com/maypok86/otter).
package cache

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
)

const (
	overhead  = 512 // bytes of an answer besides its texts
	refreshes = 64  // at once; over it what is stale is served, and nobody asks
)

// Config of a Cache. The zero value is fit for use.
type Config struct {
	// MaxBytes that are kept; default 64 MiB.
	MaxBytes int64
	// MaxEntry is how many bytes an answer has at most to be kept; default 1 MiB.
	MaxEntry int
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Refreshed is told how asking in the background went; may be nil.
	Refreshed func(error)
}

// Policy is how long an answer is fresh, and after that stale and still good enough to be served while a new one is fetched.
type Policy struct{ Fresh, Stale time.Duration }

// Fetch asks for an answer. Its context is not the one of whoever caused it: it ends when nobody waits any more, or the cache is closed.
type Fetch func(ctx context.Context) (*Answer, error)

// How an answer came.
type How int

// The ways.
const (
	Hit       How = iota // it was kept, and fresh
	Stale                // it was kept, and a new one is being fetched
	Miss                 // it was asked for
	Collapsed            // somebody else had asked for it already
	Forced               // it was asked for although it may have been kept
)

// String names a way for a metric.
func (h How) String() string { return [...]string{"hit", "stale", "miss", "collapsed", "forced"}[h] }

// Result is an answer, how it came, how old it is, and whether it is kept now.
type Result struct {
	*Answer
	How    How
	Age    time.Duration
	Stored bool
}

// Cache keeps answers. It is safe for concurrent use.
type Cache struct {
	c    Config
	kept *otter.Cache[string, *Answer]
	slot chan struct{} // of those that refresh

	mu      sync.Mutex
	flights map[string]*flight
	closed  bool
	running sync.WaitGroup
}

// flight is one question.
type flight struct {
	key     string
	done    chan struct{}
	answer  *Answer
	err     error
	stored  bool
	cancel  context.CancelFunc
	waiters int
	refresh bool // it goes on without anybody waiting
}

// New makes a cache that has nothing.
func New(c Config) (*Cache, error) {
	c.MaxBytes, c.MaxEntry = cmp.Or(c.MaxBytes, 64<<20), cmp.Or(c.MaxEntry, 1<<20)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Refreshed == nil {
		c.Refreshed = func(error) {}
	}
	// No expiry there: it would take a goroutine that has to be ended, and what has ended goes when the room is needed.
	kept, err := otter.New(&otter.Options[string, *Answer]{
		MaximumWeight: uint64(max(c.MaxBytes, 1)), Weigher: weigh,
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	return &Cache{c: c, kept: kept, slot: make(chan struct{}, refreshes), flights: map[string]*flight{}}, nil
}

// weigh counts the body twice: its compressed forms, which come later, have at most as much.
func weigh(key string, a *Answer) uint32 { return uint32(len(key) + 2*len(a.Body) + overhead) } //nolint:gosec // MaxEntry bounds it

// Bytes that are kept.
func (c *Cache) Bytes() int64 { return int64(c.kept.WeightedSize()) } //nolint:gosec // at most MaxBytes

// Fresh returns the answer of a key if it is kept and fresh. It is the first thing that Get does; alone it needs nobody who could ask.
func (c *Cache) Fresh(key string, p Policy) (Result, bool) {
	if a, ok := c.kept.GetIfPresent(key); ok {
		if age := c.c.Now().Sub(a.born); age < p.Fresh {
			return Result{Answer: a, How: Hit, Age: max(age, 0), Stored: true}, true
		}
	}
	return Result{}, false
}

// Get returns the answer of a key: the one that is kept, or what fetch says. Errors are fetch's own and are not kept, or ctx's.
func (c *Cache) Get(ctx context.Context, key string, p Policy, fetch Fetch) (Result, error) {
	if a, ok := c.kept.GetIfPresent(key); ok {
		switch age := c.c.Now().Sub(a.born); {
		case age < p.Fresh:
			return Result{Answer: a, How: Hit, Age: max(age, 0), Stored: true}, nil
		case age < p.Fresh+p.Stale:
			c.refresh(ctx, key, fetch)
			return Result{Answer: a, How: Stale, Age: age, Stored: true}, nil
		}
	}
	f, how := c.join(ctx, key, fetch)
	select {
	case <-f.done:
	case <-ctx.Done():
		c.leave(f)
		return Result{}, ctx.Err()
	}
	if f.err != nil {
		return Result{}, f.err
	}
	return Result{Answer: f.answer, How: how, Age: max(c.c.Now().Sub(f.answer.born), 0), Stored: f.stored}, nil
}

// Force asks whatever is kept, and keeps the answer. It joins nobody: what somebody asked before may be older than what made ctx's owner ask.
func (c *Cache) Force(ctx context.Context, key string, fetch Fetch) (Result, error) {
	began := c.c.Now()
	a, err := fetch(ctx)
	if err != nil {
		return Result{}, err
	}
	a.born = began
	return Result{Answer: a, How: Forced, Stored: c.keep(key, a)}, nil
}

// join finds the flight of a key, or begins one.
func (c *Cache) join(ctx context.Context, key string, fetch Fetch) (*flight, How) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights[key]; ok {
		f.waiters++
		return f, Collapsed
	}
	f := c.begin(ctx, key, fetch)
	f.waiters = 1
	return f, Miss
}

// leave ends a flight that nobody waits for.
func (c *Cache) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters--; f.waiters == 0 && !f.refresh {
		f.cancel()
		c.landed(f) // whoever comes now asks anew
	}
}

// refresh asks in the background, unless somebody does, or too many do.
func (c *Cache) refresh(ctx context.Context, key string, fetch Fetch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.flights[key]; ok {
		return
	}
	select {
	case c.slot <- struct{}{}:
	default:
		return
	}
	f := c.begin(ctx, key, func(ctx context.Context) (*Answer, error) {
		defer func() { <-c.slot }()
		a, err := fetch(ctx)
		c.c.Refreshed(err)
		return a, err
	})
	f.refresh = true
}

// begin starts a flight. c.mu is held.
func (c *Cache) begin(ctx context.Context, key string, fetch Fetch) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{key: key, done: make(chan struct{}), cancel: cancel}
	if c.closed {
		cancel()
	}
	c.flights[key] = f
	began := c.c.Now()
	c.running.Go(func() {
		defer cancel()
		f.answer, f.err = guarded(ctx, fetch)
		if f.err == nil {
			f.answer.born = began
			f.stored = c.keep(key, f.answer)
		}
		c.mu.Lock()
		c.landed(f)
		c.mu.Unlock()
		close(f.done)
	})
	return f
}

// landed takes a flight off the list. c.mu is held.
func (c *Cache) landed(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}

// guarded makes an error of a panic: nobody is above a flight that could.
func guarded(ctx context.Context, fetch Fetch) (a *Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cache: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fetch(ctx)
}

// keep keeps an answer, unless it is too large, or what is kept was asked for later.
func (c *Cache) keep(key string, a *Answer) bool {
	if len(a.Body) > c.c.MaxEntry {
		return false
	}
	_, _ = c.kept.Compute(key, func(old *Answer, found bool) (*Answer, otter.ComputeOp) {
		if found && old.born.After(a.born) {
			return old, otter.CancelOp
		}
		return a, otter.WriteOp
	})
	return true
}

// Close ends every question that runs, and waits for them. Answers that are kept are served on.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	for _, f := range c.flights {
		f.cancel()
	}
	c.mu.Unlock()
	c.running.Wait()
}
