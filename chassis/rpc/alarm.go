package rpc

import (
	"sync"
	"time"
)

// waiter is what a caller waits with for a handler on another goroutine.
type waiter struct {
	done chan bool // true from the handler when it has returned, false from the alarm when the time is up; with room for both

	until      time.Time
	prev, next *waiter
	told       bool // by the alarm
}

// alarm tells waiters that their time is up. It has one timer for all: most calls are over long before, and cost it nothing. The zero alarm is
// ready.
type alarm struct {
	mu    sync.Mutex
	first *waiter
	timer *time.Timer
	at    time.Time // when the timer runs out; zero when it doesn't run
}

// ringsEvery is how often it looks at most: it looks at all who wait. Who hears of its end so much later has waited for longer.
const ringsEvery = time.Millisecond

// add has w told at a time, up to ringsEvery after it.
func (a *alarm) add(w *waiter, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.until = until
	if w.next = a.first; w.next != nil {
		w.next.prev = w
	}
	a.first = w
	if a.at.IsZero() || until.Before(a.at) {
		a.set(until)
	}
}

// remove says whether w was not told, and won't be.
func (a *alarm) remove(w *waiter) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unlink(w)
	return !w.told
}

func (a *alarm) unlink(w *waiter) {
	switch {
	case w.prev != nil:
		w.prev.next = w.next
	case a.first == w:
		a.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
}

func (a *alarm) set(at time.Time) {
	a.at = at
	if a.timer == nil {
		a.timer = time.AfterFunc(time.Until(at), a.ring)
	} else {
		a.timer.Reset(time.Until(at))
	}
}

func (a *alarm) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, earliest := time.Now(), time.Time{}
	for w := a.first; w != nil; {
		next := w.next
		if !now.Before(w.until) {
			a.unlink(w)
			w.told = true
			w.done <- false
		} else if earliest.IsZero() || w.until.Before(earliest) {
			earliest = w.until
		}
		w = next
	}
	if a.at = earliest; !earliest.IsZero() {
		if soon := now.Add(ringsEvery); earliest.Before(soon) {
			earliest = soon
		}
		a.set(earliest)
	}
}
