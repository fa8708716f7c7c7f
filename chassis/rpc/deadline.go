package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// patient is a context with a deadline whose timer is made only when somebody waits for Done. A lane doesn't: it has one for all calls.
type patient struct {
	context.Context
	at    time.Time
	inner atomic.Pointer[context.Context] // with the timer

	mu     sync.Mutex
	cancel context.CancelFunc
	ended  bool
}

// withDeadline is context.WithDeadline without a timer. end it.
func withDeadline(parent context.Context, at time.Time) *patient {
	if sooner, ok := parent.Deadline(); ok && sooner.Before(at) {
		at = sooner
	}
	return &patient{Context: parent, at: at}
}

// Waits implements lane.Patient.
func (p *patient) Waits() (<-chan struct{}, time.Time) { return p.Context.Done(), p.at }

// Deadline implements context.Context.
func (p *patient) Deadline() (time.Time, bool) { return p.at, true }

// Done implements context.Context.
func (p *patient) Done() <-chan struct{} {
	if in := p.inner.Load(); in != nil {
		return (*in).Done()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if in := p.inner.Load(); in != nil {
		return (*in).Done()
	}
	ctx, cancel := context.WithDeadline(p.Context, p.at)
	if p.cancel = cancel; p.ended {
		cancel()
	}
	p.inner.Store(&ctx)
	return ctx.Done()
}

// Err implements context.Context.
func (p *patient) Err() error {
	if in := p.inner.Load(); in != nil {
		return (*in).Err()
	}
	if err := p.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(p.at) {
		return context.DeadlineExceeded
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. Package context asks for Done first when it ties a child to its parent, and finds inner here.
func (p *patient) Value(key any) any {
	if in := p.inner.Load(); in != nil {
		return (*in).Value(key)
	}
	return p.Context.Value(key)
}

// end is what a CancelFunc is.
func (p *patient) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.cancel != nil {
		p.cancel()
	}
}
