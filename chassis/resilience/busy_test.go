package resilience

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestWaited(t *testing.T) {
	bounds := []float64{0, 0.001, 0.005, 0.1}
	for _, tc := range []struct {
		counts, before []uint64
		want           bool
	}{
		{[]uint64{0, 0, 0}, []uint64{0, 0, 0}, false}, {[]uint64{50, 0, 50}, []uint64{0, 0, 0}, true},
		{[]uint64{51, 0, 49}, []uint64{0, 0, 0}, false}, {[]uint64{91, 0, 9}, []uint64{91, 0, 9}, false}, {[]uint64{91, 0, 10}, []uint64{91, 0, 9}, true},
	} {
		if got := waited(bounds, tc.counts, tc.before); got != tc.want {
			t.Errorf("%v since %v: %v", tc.counts, tc.before, got)
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

// Calls that only wait are not too many, however many they are.
func TestWhatOnlyWaitsIsLetIn(t *testing.T) {
	busy := false
	s, err := NewServer(t.Context(), ServerConfig{
		Service: "slow", Least: 2, Start: 2, Most: 2, Queue: [2]float64{1, 1}, MaxWait: time.Millisecond, Busy: func() bool { return busy },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		permit, err := s.acquire(t.Context(), Medium)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(permit.Drop)
	}
	busy = true
	if _, err := s.acquire(t.Context(), Medium); err == nil {
		t.Error("a busy one lets in more than it can do")
	}
}
