// Package work runs functions on goroutines that are kept for the next one: their stacks have grown already.
package work

import "sync"

// maxIdle is how many goroutines wait for work; further ones end.
const maxIdle = 256

// Task is what is run.
type Task interface{ Run() }

// Pool runs each task at once, on a goroutine of its own. The zero Pool is ready.
type Pool struct {
	mu     sync.Mutex
	idle   []chan Task // the last one is the warmest
	closed bool
	all    sync.WaitGroup
}

// Run runs t on a goroutine of the pool. It doesn't wait.
func (p *Pool) Run(t Task) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		w <- t
		return
	}
	p.all.Add(1)
	p.mu.Unlock()
	go p.work(t)
}

func (p *Pool) work(t Task) {
	defer p.all.Done()
	next := make(chan Task, 1)
	for {
		t.Run()
		p.mu.Lock()
		if p.closed || len(p.idle) >= maxIdle {
			p.mu.Unlock()
			return
		}
		p.idle = append(p.idle, next)
		p.mu.Unlock()
		var ok bool
		if t, ok = <-next; !ok {
			return
		}
	}
}

// Close waits for what runs and ends the goroutines. A task that is run afterwards gets one that ends with it.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, w := range idle {
		close(w)
	}
	p.all.Wait()
}
