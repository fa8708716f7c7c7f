package lane

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
)

// Config is what both sides of a lane may choose.
type Config struct {
	MaxMessage int // bytes, either way; at most MaxMessage
	MaxCalls   int // at once on a connection
	Window     int // bytes that a stream may have sent and its reader not yet taken
	// Context is what those of a server's handlers are made of; it has no end. Default context.Background().
	Context context.Context
}

// conn is what both sides have in common: the queue of what is to be written, and who writes it.
type conn struct {
	nc    net.Conn
	r     *reader
	limit int      // of a message to us
	own   settings // told to the peer
	peer  settings // the peer's
	heard atomic.Bool
	full  atomic.Bool     // it takes no further calls
	tick  time.Duration   // of the keepalive
	beat  func(quiet int) // at every tick, with how many in a row were silent
	wake  chan struct{}   // something waits to be written
	gone  chan struct{}   // closed when the connection has ended
	all   sync.WaitGroup

	mu     sync.Mutex
	buf    []byte // waits to be written
	spare  []byte
	queued uint64        // bytes that were ever put into buf
	handed uint64        // bytes of them that were given to the kernel, or may have been
	busy   bool          // somebody writes, or was told to
	room   chan struct{} // closed when there is room again; nil when nobody waits
	timer  *time.Timer   // of the keepalive
	err    error         // why the connection ended
}

func newConn(nc net.Conn, c Config) *conn {
	limit := min(c.MaxMessage, MaxMessage)
	return &conn{
		nc: nc, limit: limit, r: newReader(nc, limit+maxHead), wake: make(chan struct{}, 1), gone: make(chan struct{}),
		own: settings{uint64(limit), uint64(c.MaxCalls), uint64(c.Window)}, //nolint:gosec // none is negative
	}
}

// serve writes, and keeps watch over the peer, until the connection ends.
func (c *conn) serve() {
	c.mu.Lock()
	quiet := 0
	c.timer = time.AfterFunc(c.tick, func() {
		if quiet++; c.heard.Swap(false) {
			quiet = 0
		}
		c.beat(quiet)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil {
			c.timer.Reset(c.tick)
		}
	})
	c.mu.Unlock()
	c.all.Go(func() {
		for {
			select {
			case <-c.wake:
				// Those who are ready to send do so first: one write for all of them.
				runtime.Gosched()
				for c.write() {
					runtime.Gosched()
				}
			case <-c.gone:
				return
			}
		}
	})
}

// write writes what waits, and says whether there may be more.
func (c *conn) write() bool {
	c.mu.Lock()
	if len(c.buf) == 0 || c.err != nil {
		c.busy = false
		c.mu.Unlock()
		return false
	}
	out := c.buf
	c.buf, c.spare = c.spare[:0], nil
	c.handed = c.queued
	c.mu.Unlock()
	_, err := c.nc.Write(out)
	c.mu.Lock()
	defer c.mu.Unlock()
	if cap(out) <= maxPending {
		c.spare = out
	}
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
	if err != nil {
		c.fail(err)
		return false
	}
	if len(c.buf) == 0 {
		c.busy = false
		return false
	}
	return true
}

// flush sees to it that what was put is written: by the caller itself when it is alone, and else by the writer, together with what others
// put. It is called with c.mu held, and lets go of it.
func (c *conn) flush(alone bool) {
	if c.busy || c.err != nil {
		c.mu.Unlock()
		return
	}
	c.busy = true
	c.mu.Unlock()
	if alone && !c.write() {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// put begins a frame in the queue, with c.mu held; end finishes it.
func (c *conn) put(k kind, id uint32) (start int) {
	start = len(c.buf)
	c.buf = appendHeader(c.buf, k, id)
	return start
}

func (c *conn) end(start int) {
	finish(c.buf, start)
	c.queued += uint64(len(c.buf) - start) //nolint:gosec // a length
}

// control puts a frame that nobody has to wait for. A peer that makes us answer and doesn't read the answers is cut off.
func (c *conn) control(k kind, id uint32, payload []byte) {
	if len(c.buf) > 4*maxPending {
		c.fail(broken("it doesn't read"))
		return
	}
	start := c.put(k, id)
	c.buf = append(c.buf, payload...)
	c.end(start)
}

// wait waits, with c.mu held, until the queue has room. ctx may be nil.
func (c *conn) wait(ctx context.Context) error {
	var done <-chan struct{}
	for c.err == nil && len(c.buf) >= maxPending {
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		if ctx != nil {
			done = ctx.Done()
		}
		c.mu.Unlock()
		select {
		case <-room:
		case <-done:
			c.mu.Lock()
			return ctx.Err()
		case <-c.gone:
		}
		c.mu.Lock()
	}
	return c.err
}

// fail ends the connection, with c.mu held. The first reason stays.
func (c *conn) fail(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.full.Store(true)
	close(c.gone)
	if c.timer != nil {
		c.timer.Stop()
	}
	_ = c.nc.Close()
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// encode appends m's bytes, of which there are size as proto.Size has just said.
func encode(b []byte, m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
}

// small is up to where a message is encoded into the queue itself; a larger one first on its own, so that others need not wait.
const small = 4 << 10
