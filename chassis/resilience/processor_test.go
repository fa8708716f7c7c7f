package resilience

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
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

// A time in which nobody waited for most of it says nothing of how fast calls could end: users who come after a pause are not refused.
func TestAPauseSaysNothingOfThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := newServer(ServerConfig{Service: "s", Least: 1, Start: 1, Most: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.follow(busyWait + 1)
		<-time.After(10 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		for range 10 {
			go func() { _ = s.enter(ctx, Critical) }()
		}
		synctest.Wait()
		s.leave()
		s.follow(busyWait + 1) // it hasn't had a processor before
		if s.late(Sheddable) {
			t.Error("eight that wait are too many, after one that has just ended")
		}
		for range 3 { // ten a second, for so long that it counts
			<-time.After(paceEvery)
			s.leave()
			s.follow(busyWait + 1)
		}
		if !s.late(Sheddable) || s.late(Critical) {
			t.Error("five that wait for ten a second")
		}
		cancel()
	})
}

// A call that comes in between the last look and the sleep keeps it awake.
func TestTheProbeDoesNotSleepOverACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begin, looks := time.Now(), 0
		p := newProcessors(ctx, func(time.Duration) bool {
			switch past := time.Since(begin); {
			case past >= 10*time.Second:
				return false
			case past >= awake-probeEvery/2: // it runs from here on, and nobody was to be woken for it
				looks++
				return true
			}
			return false
		})
		p.come()
		<-time.After(20 * time.Second)
		if looks < 100 || !p.asleep.Load() {
			t.Errorf("it looked %d times while a call ran, and sleeps: %t", looks, p.asleep.Load())
		}
		cancel()
		synctest.Wait()
	})
}
