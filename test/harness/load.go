package harness

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Load sends requests at a steady rate until it is stopped, and counts what fails.
type Load struct {
	Sent, Failed atomic.Int64

	mu      sync.Mutex
	samples []string // what the first failures said
	cancel  context.CancelFunc
	done    chan struct{}
}

// StartLoad sends perSecond requests a second, each by a goroutine of its own, so that a slow answer doesn't slow the rate. do
// returns an error when its request failed.
func StartLoad(t testing.TB, perSecond int, do func(ctx context.Context) error) *Load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		var running sync.WaitGroup
		defer running.Wait()
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			running.Go(func() {
				l.Sent.Add(1)
				// Not ctx: the end of the load must not fail the requests that are under way.
				if err := do(context.WithoutCancel(ctx)); err != nil {
					l.Failed.Add(1)
					l.sample(err)
				}
			})
		}
	}()
	t.Cleanup(func() { cancel(); <-l.done })
	return l
}

// Stop ends the load and waits for the answers that are under way.
func (l *Load) Stop() {
	l.cancel()
	<-l.done
}

// Report says how many requests were sent, how many failed, and what the first failures said.
func (l *Load) Report() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d sent, %d failed: %q", l.Sent.Load(), l.Failed.Load(), l.samples)
}

func (l *Load) sample(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.samples) < 5 {
		l.samples = append(l.samples, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}
