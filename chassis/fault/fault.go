// Package fault has named failpoints: places where an operator who tests a system makes it die, fail or wait. None is armed unless the
// operator says so when the process starts, and a place that isn't armed costs a look into a map.
//
// What is armed is a list, separated by semicolons:
//
//	order.reserve.after=kill; outbox.publish.before=error*2; payment.capture.before=sleep(5s)@3
//
// The name says where: module or package, step, before or after. The action is one of
//
//	kill        the process kills itself with SIGKILL: nothing is flushed, closed or rolled back
//	error       Hit returns a problem, Unavailable with the reason FAULT_INJECTED
//	sleep(D)    Hit waits for the time D, such as 250ms, at most an hour, and ends early with its context
//
// An action is done at every hit, with *N at the first N hits only, with @K at the K-th hit only, and with @K*N at N hits from the K-th on.
//
// An Injector is another thing: it does to calls what an operator asks for while the process runs, by rules in a store, each of which has an end.
//
//	rules   100
//	life    1 h
//	delay   1 min
package fault

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Reason is the reason of the problem that an armed point with the action error returns.
const Reason = "FAULT_INJECTED"

// Points are the armed failpoints of a process. A nil *Points has none armed. It may be used by many goroutines.
type Points struct {
	armed map[string]*point
	spec  string
}

// point is one armed failpoint.
type point struct {
	action action
	wait   time.Duration // of sleep
	from   uint64        // the first hit that counts, from 1
	times  uint64        // how many hits count from there on; 0 for all
	hits   atomic.Uint64
}

type action string

const (
	kill      action = "kill"
	fail      action = "error"
	sleep     action = "sleep"
	longSleep        = time.Hour
)

// Hit says that the process has come to the place called name. It returns nil unless the point is armed: then it returns the injected
// problem, or ctx's error when ctx ends while it sleeps, or it doesn't return at all.
func (p *Points) Hit(ctx context.Context, name string) error {
	if p == nil {
		return nil
	}
	at, ok := p.armed[name]
	if !ok || !at.due() {
		return nil
	}
	switch at.action {
	case kill:
		return die(name)
	case sleep:
		timer := time.NewTimer(at.wait)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	case fail:
	}
	return problem.Unavailable(Reason, "the failpoint %s is armed", name)
}

// due counts a hit and says whether the action is to be done at it.
func (at *point) due() bool {
	n := at.hits.Add(1)
	return n >= at.from && (at.times == 0 || n-at.from < at.times)
}

// Hits returns how often the process came to the place called name, and 0 for one that isn't armed.
func (p *Points) Hits(name string) uint64 {
	if p == nil || p.armed[name] == nil {
		return 0
	}
	return p.armed[name].hits.Load()
}

// String returns what is armed in the form that Parse reads, in the order of the names, and "" for nothing.
func (p *Points) String() string {
	if p == nil {
		return ""
	}
	return p.spec
}

func (p *Points) canonical() string {
	parts := make([]string, 0, len(p.armed))
	for name, at := range p.armed {
		parts = append(parts, name+"="+at.String())
	}
	slices.Sort(parts)
	return strings.Join(parts, ";")
}

// die kills the process. SIGKILL can't be caught, and reaches the process at once, but another thread may run for a moment: this one
// must not.
func die(name string) error {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		return problem.Unavailable(Reason, "the failpoint %s could not kill the process", name).Because(err)
	}
	select {}
}
