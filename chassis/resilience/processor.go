package resilience

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// probeEvery is how often it is asked how long a goroutine waits for a processor, while calls come in.
const probeEvery = 10 * time.Millisecond

// awake is how long the probe goes on after the last call.
const awake = time.Second

// processors says how long a goroutine that could run waits for a processor: a process that has more to do than it can is told by that from one
// that waits for others. A probe yields, and is run again when all those are that could run before it. One that hasn't come back is as old as
// it is, so that a long queue is known before its end is reached. Nothing is asked while no call comes in.
type processors struct {
	base    time.Time
	since   atomic.Int64 // when the probe under way yielded, of base; 0 when there is none
	last    atomic.Int64 // how long the last one waited
	asleep  atomic.Bool
	wake    chan struct{}
	changed func(wait time.Duration) (more bool)
}

// newProcessors begins to ask. changed is told every answer, by one goroutine, until ctx ends, and says whether calls run or wait.
func newProcessors(ctx context.Context, changed func(wait time.Duration) (more bool)) *processors {
	p := &processors{base: time.Now(), wake: make(chan struct{}, 1), changed: changed}
	p.asleep.Store(true)
	go p.follow(ctx)
	return p
}

// come says that a call has come in, and is counted: changed would say so.
func (p *processors) come() {
	if p.asleep.Load() && p.asleep.CompareAndSwap(true, false) {
		p.wake <- struct{}{}
	}
}

func (p *processors) follow(ctx context.Context) {
	t := time.NewTicker(probeEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		t.Reset(probeEvery)
		for again := true; again; {
			p.ask(ctx, t.C)
			p.asleep.Store(true)
			again = p.changed(p.wait()) && ctx.Err() == nil && p.asleep.CompareAndSwap(true, false) // a call that came while nobody had to be woken
		}
		t.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// ask probes until no call has run or waited for a while, or ctx ends.
func (p *processors) ask(ctx context.Context, tick <-chan time.Time) {
	for until := time.Now().Add(awake); time.Now().Before(until); {
		p.probe()
		if p.changed(p.wait()) {
			until = time.Now().Add(awake)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

func (p *processors) probe() {
	begin := max(time.Since(p.base), 1)
	p.since.Store(int64(begin))
	runtime.Gosched()
	p.last.Store(int64(time.Since(p.base) - begin))
	p.since.Store(0)
}

// wait is how long a goroutine waits, now.
func (p *processors) wait() time.Duration {
	wait := time.Duration(p.last.Load())
	if since := p.since.Load(); since != 0 {
		wait = max(wait, time.Since(p.base)-time.Duration(since))
	}
	return wait
}
