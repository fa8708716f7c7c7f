package rpc

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Each waiter is told at its time, whoever came before it and whenever its own ends; who has gone is told nothing.
func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a alarm
		begin := time.Now()
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() {
				w := &waiter{done: make(chan bool, 2)}
				after := time.Duration(1+i*7%100) * time.Second // neither first nor last in turn
				a.add(w, begin.Add(after))
				if i%3 == 0 {
					<-time.After(after - time.Millisecond)
					if !a.remove(w) || len(w.done) != 0 {
						t.Errorf("one that leaves a millisecond before %v has been told", after)
					}
					return
				}
				if <-w.done || time.Since(begin) != after {
					t.Errorf("one is told after %v, not %v", time.Since(begin), after)
				}
				if a.remove(w) {
					t.Error("one that was told may be used again")
				}
			})
		}
		all.Wait()
		if a.first != nil || !a.at.IsZero() {
			t.Error("the alarm goes on when nobody waits")
		}
	})
}

func TestAlarmAndWaitersAtOnce(t *testing.T) {
	var a alarm
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				w := &waiter{done: make(chan bool, 2)}
				a.add(w, time.Now().Add(time.Duration(i%3)*time.Microsecond))
				if i%2 == 0 && <-w.done {
					t.Error("the alarm speaks for the handler")
				}
				switch untold := a.remove(w); {
				case untold && i%2 == 0:
					t.Error("one that was told may be used again")
				case untold && len(w.done) != 0:
					t.Error("one that was not told was")
				case !untold && i%2 != 0 && <-w.done:
					t.Error("the alarm speaks for the handler, late")
				}
			}
		})
	}
	all.Wait()
}
