package resilience

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

// More goroutines than processors make others wait; as many that wait don't.
func TestHowLongGoroutinesWaitForAProcessor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newProcessors(t.Context(), func(time.Duration) bool { return true })
	p.come()
	var all sync.WaitGroup
	for range 8 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for ctx.Err() == nil { // works
			}
		})
	}
	until := func(what string, holds func(time.Duration) bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !holds(p.wait()); <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %v", what, p.wait())
			}
		}
	}
	until("none waits", func(wait time.Duration) bool { return wait > busyWait })
	cancel()
	all.Wait()
	until("they still wait", func(wait time.Duration) bool { return wait < calmWait })
}

// Nothing is asked while no call comes in, and it begins again with the next.
func TestTheProbeSleeps(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	p := newProcessors(t.Context(), func(time.Duration) bool {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return false
	})
	for range 2 {
		p.come()
		for end := time.Now().Add(20 * time.Second); !p.asleep.Load(); <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it doesn't sleep")
			}
		}
		mu.Lock()
		if asked == 0 {
			t.Error("nothing was asked")
		}
		asked = 0
		mu.Unlock()
	}
}
