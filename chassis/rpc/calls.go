package rpc

import "sync"

// calls counts.
type calls struct {
	mu   sync.Mutex
	n    int
	zero []chan struct{}
}

func (c *calls) begin() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n > 0 {
		return
	}
	for _, ch := range c.zero {
		close(ch)
	}
	c.zero = nil
}

// idle returns a channel that is closed when no call runs.
func (c *calls) idle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan struct{})
	if c.n == 0 {
		close(ch)
	} else {
		c.zero = append(c.zero, ch)
	}
	return ch
}
