package resilience

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaited(t *testing.T) {
	bounds := []float64{0, 0.001, 0.005, 0.1}
	for _, tc := range []struct {
		counts, before []uint64
		want           bool
	}{
		{[]uint64{0, 0, 0}, []uint64{0, 0, 0}, false}, {[]uint64{90, 0, 10}, []uint64{0, 0, 0}, true},
		{[]uint64{91, 0, 9}, []uint64{0, 0, 0}, false}, {[]uint64{91, 0, 9}, []uint64{91, 0, 9}, false}, {[]uint64{91, 0, 10}, []uint64{91, 0, 9}, true},
	} {
		if got := waited(bounds, tc.counts, tc.before); got != tc.want {
			t.Errorf("%v since %v: %v", tc.counts, tc.before, got)
		}
	}
}

func TestOneLookDecidesNothing(t *testing.T) {
	var p processors
	for i, step := range []struct {
		waited bool
		times  int
		want   bool
	}{{true, busyLooks - 1, false}, {false, 1, false}, {true, busyLooks, true}, {false, quietLooks - 1, true}, {true, 1, true}, {false, quietLooks, false}} {
		for range step.times {
			p.saw(step.waited)
		}
		if p.busy.Load() != step.want {
			t.Errorf("after step %d it is busy: %v", i, !step.want)
		}
	}
}

// More goroutines than processors make it busy; as many that wait don't.
func TestProcessorsAreBusyWhenTheyAreWanted(t *testing.T) {
	var p processors
	p.look()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 8 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for ctx.Err() == nil { // works
			}
		})
	}
	for end := time.Now().Add(10 * time.Second); !p.busy.Load(); p.look() {
		if time.Now().After(end) {
			t.Fatal("it isn't busy")
		}
		<-time.After(100 * time.Millisecond)
	}
	cancel()
	all.Wait()
	for end := time.Now().Add(10 * time.Second); p.busy.Load(); p.look() {
		if time.Now().After(end) {
			t.Fatal("it stays busy")
		}
		<-time.After(100 * time.Millisecond)
	}
}

// Calls that only wait are not too many, however many they are; nor are as many when the processors are wanted for a moment.
func TestWhatOnlyWaitsIsLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Bool
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := NewServer(ctx, ServerConfig{
			Service: "slow", Least: 2, Start: 2, Most: 2, Queue: [2]float64{1, 1}, MaxWait: time.Millisecond, Busy: busy.Load,
		})
		if err != nil {
			t.Fatal(err)
		}
		enter := func() (leave func(), ok bool) {
			permit, err := s.acquire(t.Context(), Medium)
			if err != nil {
				return nil, false
			}
			return func() { s.release(t.Context(), permit, nil) }, true
		}
		var all []func()
		for range 50 {
			leave, ok := enter()
			if !ok {
				t.Fatal("one that only waits is refused")
			}
			all = append(all, leave)
		}
		<-time.After(2 * calibrateEvery)
		busy.Store(true)
		all[0]()
		leave, ok := enter()
		if !ok {
			t.Fatal("as many as ran before are too many at once")
		}
		all[0] = leave
		for range 2 {
			if leave, ok := enter(); ok { // the limit's own two
				all = append(all, leave)
			}
		}
		if _, ok := enter(); ok {
			t.Error("a busy one lets in whoever comes")
		}
		for _, leave := range all {
			leave()
		}
		<-time.After(40 * calibrateEvery)
		if all[0], ok = enter(); !ok {
			t.Fatal("none is let in")
		}
		if all[1], ok = enter(); !ok {
			t.Fatal("not as many as the limit says")
		}
		if _, ok = enter(); ok {
			t.Error("what ran before it was busy counts for ever")
		}
		all[0]()
		all[1]()
	})
}
