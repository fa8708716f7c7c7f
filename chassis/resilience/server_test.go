package resilience_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/codec"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/resilience"
)

// call is a request of a level.
type call struct{ level resilience.Level }

func (call) Service() string     { return "s" }
func (call) Method() string      { return "M.M" }
func (call) Endpoint() string    { return "M.M" }
func (call) ContentType() string { return "" }
func (c call) Header() map[string]string {
	return map[string]string{resilience.PriorityHeader: c.level.String()}
}
func (call) Body() any             { return nil }
func (call) Read() ([]byte, error) { return nil, nil }
func (call) Codec() codec.Reader   { return nil }
func (call) Stream() bool          { return false }

// limited is a handler behind a limit, in a bubble of synctest.
type limited struct {
	*resilience.Server
	run  func(context.Context, resilience.Level) error
	wait atomic.Int64 // of a goroutine for a processor
}

func limit(t *testing.T, c resilience.ServerConfig, h func(ctx context.Context)) *limited {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &limited{}
	c.Service, c.Wait = "s", func() time.Duration { return time.Duration(l.wait.Load()) }
	var err error
	if l.Server, err = resilience.NewServer(ctx, c); err != nil {
		t.Fatal(err)
	}
	wrapped := l.Wrap(func(ctx context.Context, _ server.Request, _ any) error { h(ctx); return nil })
	l.run = func(ctx context.Context, of resilience.Level) error { return wrapped(ctx, call{of}, nil) }
	t.Cleanup(func() {
		cancel()
		synctest.Wait()
	})
	return l
}

const wanted = int64(50 * time.Millisecond) // the processors are

// The limit is held at two: two run, six wait, what is over is refused at once.
func TestAnOverloadIsRefusedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, ran, refused atomic.Int64
		l := limit(t, resilience.ServerConfig{Least: 2, Start: 2, Most: 2, Queue: 6, MaxWait: time.Hour}, func(context.Context) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Minute)
			running.Add(-1)
			ran.Add(1)
		})
		l.wait.Store(wanted)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				switch err := l.run(t.Context(), resilience.Critical); {
				case reason(err) == resilience.ReasonOverloaded:
					refused.Add(1)
				case err != nil:
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if running.Load() != 2 || l.Queued() != 6 || refused.Load() != 42 {
			t.Errorf("%d run, %d wait, %d are refused", running.Load(), l.Queued(), refused.Load())
		}
		all.Wait()
		if most.Load() != 2 || ran.Load() != 8 {
			t.Errorf("%d ran, %d at once", ran.Load(), most.Load())
		}
	})
}

func TestTheImportantGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(t, resilience.ServerConfig{Least: 1, Start: 1, Most: 1, MaxWait: time.Hour}, func(context.Context) { <-time.After(time.Second) })
		l.wait.Store(wanted)
		var all sync.WaitGroup
		var mu sync.Mutex
		var order []resilience.Level
		for _, of := range []resilience.Level{resilience.Normal, resilience.Sheddable, resilience.Normal, resilience.Critical} {
			all.Go(func() {
				if err := l.run(t.Context(), of); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, of)
				mu.Unlock()
			})
			synctest.Wait()
		}
		all.Wait()
		if want := []resilience.Level{resilience.Normal, resilience.Critical, resilience.Normal, resilience.Sheddable}; !slices.Equal(order, want) {
			t.Errorf("they ran in the order %v", order)
		}
	})
}

// Nobody waits for longer than its level has patience; and as soon as it is known how fast calls end, nobody begins to.
func TestPatience(t *testing.T) {
	for of, patience := range map[resilience.Level]time.Duration{
		resilience.Critical: 2 * time.Second, resilience.Normal: 500 * time.Millisecond, resilience.Sheddable: 250 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := limit(t, resilience.ServerConfig{Least: 1, Start: 1, Most: 1}, func(context.Context) { <-time.After(10 * time.Second) })
			l.wait.Store(wanted)
			go func() { _ = l.run(t.Context(), of) }()
			synctest.Wait()
			begin := time.Now()
			if err := l.run(t.Context(), of); reason(err) != resilience.ReasonOverloaded || time.Since(begin) != patience {
				t.Errorf("%v: after %v: %v", of, time.Since(begin), err)
			}
			<-time.After(10 * time.Second)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		l := limit(t, resilience.ServerConfig{Least: 1, Start: 1, Most: 1}, func(context.Context) { <-time.After(50 * time.Millisecond) }) // twenty a second
		l.wait.Store(wanted)
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() { _ = l.run(t.Context(), resilience.Critical) })
		}
		<-time.After(300 * time.Millisecond)
		begin := time.Now()
		if err := l.run(t.Context(), resilience.Normal); reason(err) != resilience.ReasonOverloaded || time.Since(begin) != 0 {
			t.Errorf("a normal one behind 24: after %v: %v", time.Since(begin), err)
		}
		all.Wait()
		if err := l.run(t.Context(), resilience.Sheddable); err != nil {
			t.Errorf("when all have gone: %v", err)
		}
	})
}

// When the queue is full the important take the places of the unimportant, the last of these first.
func TestTheImportantTakeThePlacesOfTheUnimportant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(t, resilience.ServerConfig{Least: 1, Start: 1, Most: 1, Queue: 3, MaxWait: time.Hour}, func(context.Context) { <-time.After(time.Second) })
		l.wait.Store(wanted)
		var all sync.WaitGroup
		var mu sync.Mutex
		refused := map[resilience.Level]int{}
		for _, of := range []resilience.Level{
			resilience.Normal, resilience.Sheddable, resilience.Sheddable, resilience.Normal, // one runs, and three wait
			resilience.Critical, resilience.Critical, resilience.Critical, resilience.Critical, resilience.Sheddable, resilience.Normal,
		} {
			all.Go(func() {
				if err := l.run(t.Context(), of); reason(err) == resilience.ReasonOverloaded {
					mu.Lock()
					refused[of]++
					mu.Unlock()
				}
			})
			synctest.Wait()
		}
		if l.Queued() != 3 || refused[resilience.Sheddable] != 3 || refused[resilience.Normal] != 2 || refused[resilience.Critical] != 1 {
			t.Errorf("%d wait, refused are %v", l.Queued(), refused)
		}
		all.Wait()
	})
}

func TestWhoeverWaitsMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(t, resilience.ServerConfig{Least: 1, Start: 1, Most: 1, MaxWait: time.Hour}, func(context.Context) { <-time.After(time.Minute) })
		l.wait.Store(wanted)
		go func() {
			if err := l.run(t.Context(), resilience.Normal); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.run(ctx, resilience.Normal); err == nil || reason(err) == resilience.ReasonOverloaded || l.Queued() != 0 {
			t.Errorf("it ran beside the first, or still waits: %v", err)
		}
		<-time.After(time.Hour)
	})
}

// Calls that only wait for others are not too many, however many they are. When processors are wanted the limit falls, though not at once; and
// when it isn't used it goes back to where it began.
func TestTheLimitFollowsTheProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(t, resilience.ServerConfig{Least: 2, Start: 8, Most: 500}, func(ctx context.Context) { <-ctx.Done() })
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 400 {
			all.Go(func() {
				if err := l.run(ctx, resilience.Sheddable); err != nil && ctx.Err() == nil {
					t.Errorf("one that only waits is refused: %v", err)
				}
			})
			<-time.After(time.Millisecond)
		}
		<-time.After(time.Second)
		if l.Queued() != 0 || l.Limit() < 400 {
			t.Errorf("of 400 that only wait, %d wait for their turn, with a limit of %d", l.Queued(), l.Limit())
		}
		l.wait.Store(wanted)
		<-time.After(time.Second)
		if n := l.Limit(); n < 200 || n > 350 {
			t.Errorf("after a second the limit is %d", n)
		}
		<-time.After(10 * time.Second)
		if n := l.Limit(); n != 2 {
			t.Errorf("after eleven seconds the limit is %d", n)
		}
		l.wait.Store(0)
		var more sync.WaitGroup
		more.Go(func() { _ = l.run(ctx, resilience.Sheddable) })
		<-time.After(time.Second)
		if l.Queued() != 0 || l.Limit() < 401 {
			t.Errorf("when processors are to be had, %d wait, with a limit of %d", l.Queued(), l.Limit())
		}
		cancel()
		all.Wait()
		more.Wait()
		for range 20 { // their contexts have ended, and so do they
			_ = l.run(ctx, resilience.Normal)
			<-time.After(500 * time.Millisecond)
		}
		if n := l.Limit(); n != 8 {
			t.Errorf("when few run the limit is %d", n)
		}
	})
}

// However many come and go at once, no more run than may, and nobody is forgotten.
func TestNobodyIsForgotten(t *testing.T) {
	const least = 3
	s, err := resilience.NewServer(t.Context(), resilience.ServerConfig{
		Service: "s", Least: least, Start: least, Most: least, MaxWait: time.Hour, Wait: func() time.Duration { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	var running, ran atomic.Int64
	h := s.Wrap(func(context.Context, server.Request, any) error {
		if n := running.Add(1); n > least {
			t.Errorf("%d run", n)
		}
		defer running.Add(-1)
		ran.Add(1)
		return nil
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for i := range 200 {
				if err := h(t.Context(), call{resilience.Level(i % 3)}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if ran.Load() != 50*200 || s.Queued() != 0 {
		t.Errorf("%d ran, %d wait", ran.Load(), s.Queued())
	}
}
