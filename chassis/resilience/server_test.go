package resilience_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/codec"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/resilience"
)

type call struct{ important bool }

func (call) Service() string           { return "s" }
func (call) Method() string            { return "M.M" }
func (call) Endpoint() string          { return "M.M" }
func (call) ContentType() string       { return "" }
func (call) Header() map[string]string { return nil }
func (call) Body() any                 { return nil }
func (call) Read() ([]byte, error)     { return nil, nil }
func (call) Codec() codec.Reader       { return nil }
func (call) Stream() bool              { return false }

func limited(t *testing.T, c resilience.ServerConfig, h func(ctx context.Context) error) server.HandlerFunc {
	t.Helper()
	c.Service = "s"
	s, err := resilience.NewServer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s.Wrap(func(ctx context.Context, _ server.Request, _ any) error { return h(ctx) })
}

// The limit is held at two: two run, up to six wait, what is over is refused at once.
func TestAnOverloadIsRefusedEarly(t *testing.T) {
	var running, most, ran atomic.Int64
	leave := make(chan struct{})
	h := limited(t, resilience.ServerConfig{Least: 2, Start: 2, Most: 2, MaxWait: time.Minute}, func(context.Context) error {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-leave
		running.Add(-1)
		ran.Add(1)
		return nil
	})
	var all sync.WaitGroup
	var refused atomic.Int64
	for range 50 {
		all.Go(func() {
			switch err := h(t.Context(), call{}, nil); {
			case reason(err) == resilience.ReasonOverloaded:
				refused.Add(1)
			case err != nil:
				t.Error(err)
			}
		})
	}
	for end := time.Now().Add(time.Minute); refused.Load() < 42; { // fifty without the two that run and the six that wait
		if time.Now().After(end) {
			t.Fatalf("%d of 50 were refused, want at least 42", refused.Load())
		}
		runtime.Gosched()
	}
	close(leave)
	all.Wait()
	if most.Load() > 2 || ran.Load() < 2 || ran.Load()+refused.Load() != 50 {
		t.Errorf("%d ran, %d at once; %d were refused", ran.Load(), most.Load(), refused.Load())
	}
}

// The unimportant are refused so that there is room for the important: ten run, of the thirty that may wait twenty-five do.
func TestTheImportantGoFirst(t *testing.T) {
	s, err := resilience.NewServer(t.Context(), resilience.ServerConfig{
		Service: "s", Least: 10, Start: 10, Most: 10, MaxWait: time.Hour,
		Priority: func(_ context.Context, req server.Request) resilience.Priority {
			if c, ok := req.(call); ok && c.important {
				return resilience.VeryHigh
			}
			return resilience.VeryLow
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	leave := make(chan struct{})
	h := s.Wrap(func(context.Context, server.Request, any) error { <-leave; return nil })
	var all sync.WaitGroup
	ask := func(c call) (refused chan error) {
		refused = make(chan error, 1)
		all.Go(func() { refused <- h(t.Context(), c, nil) })
		return refused
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("waited a minute for %s; %d wait", what, s.Queued())
			}
		}
	}
	for n := range 35 {
		ask(call{})
		until("the next to wait", func() bool { return s.Queued() == max(0, n-9) || s.Queued() >= 25 })
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	until("the unimportant to be refused", func() bool { return reason(h(gone, call{}, nil)) == resilience.ReasonOverloaded })
	waiting := s.Queued()
	if waiting >= 30 {
		t.Fatalf("%d wait: the queue is full for everybody", waiting)
	}
	important := ask(call{important: true})
	until("the important to wait", func() bool { return s.Queued() == waiting+1 })
	close(leave)
	if err := <-important; err != nil {
		t.Errorf("the important: %v", err)
	}
	all.Wait()
}

func TestWhoeverWaitsMayLeave(t *testing.T) {
	leave := make(chan struct{})
	inside := make(chan struct{}, 1)
	h := limited(t, resilience.ServerConfig{Least: 1, Start: 1, Most: 1, MaxWait: time.Hour}, func(context.Context) error {
		inside <- struct{}{}
		<-leave
		return nil
	})
	var first sync.WaitGroup
	first.Go(func() {
		if err := h(t.Context(), call{}, nil); err != nil {
			t.Error(err)
		}
	})
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	var second sync.WaitGroup
	second.Go(func() {
		if err := h(ctx, call{}, nil); err == nil {
			t.Error("it ran beside the first")
		}
	})
	cancel()
	second.Wait()
	close(leave)
	first.Wait()
}
