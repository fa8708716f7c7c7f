package rpc

import "time"

const retireEvery = 100 * time.Millisecond

// Renew makes the client use new connections from now on, as it should after its certificate has changed. Calls and streams that run go on
// where they are, and the connection of the last one is closed after it. It doesn't wait.
func (c *Client) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	old := c.peers
	c.peers = make(map[peerID]*peer, len(old))
	for _, p := range old {
		c.loops.Go(func() { c.retire(p) })
	}
}

// retire closes a peer that nobody finds any more when nobody uses it.
func (c *Client) retire(p *peer) {
	defer func() {
		p.lanes.close()
		_ = p.conn.Close()
	}()
	tick := time.NewTicker(retireEvery)
	defer tick.Stop()
	for !p.unused() {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// unused says that no call has it. Who holds it begins before it is let go of.
func (p *peer) unused() bool { return p.held.Load() == 0 && p.running.Load() == 0 }
