package lane

import (
	"context"
	"time"
)

// Patient is a context whose deadline Call keeps by itself, with one timer for all calls, so that the context needs none: done is its end for
// any other reason.
type Patient interface {
	Waits() (done <-chan struct{}, until time.Time)
}

// setAlarm has expire run at a time, with c.mu held.
func (c *Client) setAlarm(at time.Time) {
	c.alarmAt = at
	if c.alarm == nil {
		c.alarm = time.AfterFunc(time.Until(at), c.expire)
	} else {
		c.alarm.Reset(time.Until(at))
	}
}

// expire ends the calls whose time is up.
func (c *Client) expire() {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	now, next := time.Now(), time.Time{}
	for id, call := range c.calls {
		switch {
		case call.till.IsZero():
		case !now.Before(call.till):
			delete(c.calls, id)
			c.control(cancelFrame, id, nil)
			call.err = context.DeadlineExceeded
			call.done <- struct{}{}
		case next.IsZero() || call.till.Before(next):
			next = call.till
		}
	}
	if c.alarmAt = next; !next.IsZero() {
		c.setAlarm(next)
	}
	c.ended()
	c.flush(false)
}
