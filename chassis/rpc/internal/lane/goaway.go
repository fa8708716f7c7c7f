package lane

import "errors"

// goAway takes no further calls. What came after last was surely not done.
func (c *Client) goAway(last uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	c.full.Store(true)
	away := &Broken{Err: errors.New("the server goes away")}
	for id, call := range c.calls {
		if id > last {
			delete(c.calls, id)
			call.err = away
			call.done <- struct{}{}
		}
	}
	for id, s := range c.streams {
		if id > last {
			delete(c.streams, id)
			s.finish(away)
		}
	}
	c.ended()
}
