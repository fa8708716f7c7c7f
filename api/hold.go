package api

import (
	"context"
	"sync"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// maxHeld is how many requests wait for the first routes at once.
const maxHeld = 1024

// hold keeps requests that come before a gateway has its first routes: a browser's EventSource, which comes back by itself when a connection ends,
// gives up at any answer but 200, so that a gateway that was started again must not say 503 for the moment that it takes to know what there is.
type hold struct {
	within time.Duration // how long one waits
	places chan struct{} // those that wait
	known  chan struct{} // closed by end
	end    func()        // there are routes; further calls do nothing
}

func newHold(within time.Duration) *hold {
	h := &hold{within: within, places: make(chan struct{}, maxHeld), known: make(chan struct{})}
	h.end = sync.OnceFunc(func() { close(h.known) })
	return h
}

// wait returns when there are routes, when the time is up or ctx ends; at once, when too many wait already.
func (h *hold) wait(ctx context.Context) {
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return
	}
	late := time.NewTimer(h.within)
	defer late.Stop()
	select {
	case <-h.known:
	case <-late.C:
	case <-ctx.Done():
	}
}

// routes returns those in force, and waits for the first. nil when they don't come; then it has answered.
func (x *exchange) routes() *table {
	if t := x.g.table.Load(); t != nil {
		return t
	}
	x.g.hold.wait(x.r.Context())
	t := x.g.table.Load()
	if t == nil {
		x.notYet("the registry has not answered yet")
	}
	return t
}

// notYet answers that something isn't known yet.
func (x *exchange) notYet(what string) {
	x.early = true
	x.fail(problem.Unavailable(reasonNotReady, "%s", what))
}
