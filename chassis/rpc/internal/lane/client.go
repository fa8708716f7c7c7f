package lane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	clientTick  = 3 * time.Second
	clientPing  = 3 // silent ticks until the client asks whether the server lives
	clientDead  = 5 // and until it takes it for dead
	decodeThere = 32 << 10
)

// Broken says that the connection was lost before an answer came.
type Broken struct {
	Sent bool // the server may have seen the request; if not, it surely did nothing
	Err  error
}

func (b *Broken) Error() string { return "lane: " + b.Err.Error() }
func (b *Broken) Unwrap() error { return b.Err }

// Client is the calling side of a connection.
type Client struct {
	*conn
	waiters sync.Pool // of *clientCall

	// With conn.mu:
	next     uint32
	alarm    *time.Timer // goes off at the nearest deadline of a call, or before
	alarmAt  time.Time
	calls    map[uint32]*clientCall
	streams  map[uint32]*Stream
	free     chan struct{} // closed when a call has ended; nil when nobody waits
	draining bool
}

// clientCall is a unary call that waits for its answer.
type clientCall struct {
	out  proto.Message
	raw  []byte // the answer, when the caller decodes it
	err  error
	from uint64    // where its frame began
	till time.Time // when the alarm ends it; zero for never
	done chan struct{}
}

// Dial begins a lane on nc and waits until the server agrees. It takes nc over, also when it fails.
func Dial(ctx context.Context, nc net.Conn, conf Config) (*Client, error) {
	c := &Client{conn: newConn(nc, conf), next: 1, calls: map[uint32]*clientCall{}, streams: map[uint32]*Stream{}}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err := c.greet()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lane: begin: %w", err), nc.Close())
	}
	c.tick, c.beat = clientTick, c.keepAlive
	c.serve()
	c.all.Go(c.read)
	return c, nil
}

func (c *Client) greet() error {
	hello := appendHeader([]byte(Magic), settingsFrame, 0)
	hello = c.own.append(hello)
	finish(hello, len(Magic))
	if _, err := c.nc.Write(hello); err != nil {
		return err
	}
	f, err := c.r.next()
	if err != nil {
		return err
	}
	if f.kind != settingsFrame {
		return broken("it begins with a frame of kind %d", f.kind)
	}
	c.peer, err = readSettings(f.payload)
	return err
}

// Close ends the connection. Calls that run fail.
func (c *Client) Close() error {
	c.mu.Lock()
	c.fail(net.ErrClosed)
	c.mu.Unlock()
	c.all.Wait()
	return nil
}

// Usable says that new calls may be made.
func (c *Client) Usable() bool { return !c.full.Load() }

// Ended says that the connection is closed.
func (c *Client) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

func (c *Client) keepAlive(quiet int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case quiet >= clientDead:
		c.fail(errors.New("the server is silent"))
	case quiet == clientPing:
		c.control(pingFrame, 0, make([]byte, 8))
		c.flush(false)
		c.mu.Lock()
	}
}

// begin waits, with c.mu held, until a call may be sent, and numbers it.
func (c *Client) begin(ctx context.Context) (uint32, error) {
	for {
		if err := c.wait(ctx); err != nil {
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			return 0, &Broken{Err: err}
		}
		if c.draining || c.next >= lastStream {
			c.draining = true
			c.full.Store(true)
			return 0, &Broken{Err: errors.New("the connection takes no further calls")}
		}
		if uint64(len(c.calls)+len(c.streams)) < c.peer.maxCalls {
			c.next++
			return c.next - 1, nil
		}
		if c.free == nil {
			c.free = make(chan struct{})
		}
		free := c.free
		c.mu.Unlock()
		select {
		case <-free:
		case <-c.gone:
		case <-ctx.Done():
			c.mu.Lock()
			return 0, ctx.Err()
		}
		c.mu.Lock()
	}
}

// ended lets the next call begin, with c.mu held. A connection that drains is closed by whoever is last.
func (c *Client) ended() {
	if c.free != nil {
		close(c.free)
		c.free = nil
	}
	if c.draining && len(c.calls)+len(c.streams) == 0 {
		c.fail(net.ErrClosed)
	}
}

// Call makes a unary call. The error is a *Broken, a *problem.Error, or ctx's. out is not touched after it has returned.
func (c *Client) Call(ctx context.Context, h *Head, in, out proto.Message) error {
	size := proto.Size(in)
	if uint64(size) > c.peer.maxMessage { //nolint:gosec // a size
		return problem.ResourceExhausted("MESSAGE_TOO_LARGE", "a message of %d bytes is larger than the %d that are allowed", size, c.peer.maxMessage)
	}
	if h.size() > maxHead {
		return problem.ResourceExhausted("METADATA_TOO_LARGE", "the metadata is larger than %d bytes", maxHead)
	}
	var body []byte
	var err error
	if size > small {
		if body, err = encode(make([]byte, 0, size), in); err != nil {
			return problem.Internal(err)
		}
	}
	call, ok := c.waiters.Get().(*clientCall)
	if !ok {
		call = &clientCall{done: make(chan struct{}, 1)}
	}
	call.out = out
	var done <-chan struct{}
	if p, ok := ctx.(Patient); ok {
		done, call.till = p.Waits()
	} else {
		done = ctx.Done()
	}

	c.mu.Lock()
	id, err := c.begin(ctx)
	if err != nil {
		c.mu.Unlock()
		return err
	}
	call.from = c.queued
	start := c.put(callFrame, id)
	c.buf = h.append(c.buf)
	if body == nil {
		body, err = encode(c.buf, in)
	} else {
		body = append(c.buf, body...)
	}
	if err != nil {
		c.buf = c.buf[:start]
		c.ended()
		c.mu.Unlock()
		return problem.Internal(err)
	}
	c.buf = body
	c.end(start)
	c.calls[id] = call
	if !call.till.IsZero() && (c.alarmAt.IsZero() || call.till.Before(c.alarmAt)) {
		c.setAlarm(call.till)
	}
	c.flush(len(c.calls) == 1 && len(c.streams) == 0)

	if done == nil { // nothing but the answer and the alarm ends it
		<-call.done
	} else {
		select {
		case <-call.done:
		case <-done:
			if c.abandon(id, call) {
				call.out, call.till = nil, time.Time{}
				c.waiters.Put(call)
				return ctx.Err()
			}
			<-call.done // the answer is being decoded
		}
	}
	if err = call.err; err == nil && call.raw != nil {
		err = decoded(call.raw, out)
	}
	call.out, call.raw, call.err, call.till = nil, nil, nil, time.Time{}
	c.waiters.Put(call)
	return err
}

// abandon tells the server that nobody waits any more, and whether that was so.
func (c *Client) abandon(id uint32, call *clientCall) bool {
	c.mu.Lock()
	if c.calls[id] != call {
		c.mu.Unlock()
		return false
	}
	delete(c.calls, id)
	c.control(cancelFrame, id, nil)
	c.ended()
	c.flush(false)
	return true
}

func decoded(b []byte, m proto.Message) error {
	if err := proto.Unmarshal(b, m); err != nil {
		return problem.Internal(fmt.Errorf("lane: decode the answer: %w", err))
	}
	return nil
}

// read reads until the connection ends, and tells all who wait.
func (c *Client) read() {
	err := c.readAll()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
	if c.alarm != nil {
		c.alarm.Stop()
	}
	for id, call := range c.calls {
		delete(c.calls, id)
		call.err = &Broken{Sent: call.from < c.handed, Err: c.err}
		call.done <- struct{}{}
	}
	for id, s := range c.streams {
		delete(c.streams, id)
		s.finish(&Broken{Sent: s.from < c.handed, Err: c.err})
	}
}

func (c *Client) readAll() error {
	for {
		f, err := c.r.next()
		if err != nil {
			return err
		}
		c.heard.Store(true)
		if err := c.handle(f); err != nil {
			return err
		}
	}
}

func (c *Client) handle(f frame) error {
	switch f.kind {
	case replyFrame:
		call := c.taken(f.id)
		if call == nil {
			return nil // abandoned
		}
		if len(f.payload) > decodeThere {
			call.raw = append([]byte{}, f.payload...)
		} else {
			call.err = decoded(f.payload, call.out)
		}
		call.done <- struct{}{}
	case statusFrame:
		e, refused, err := readStatus(f.payload)
		if err != nil {
			return err
		}
		c.status(f.id, e, refused)
	case dataFrame, windowFrame:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.streamFrame(c.streams[f.id], f)
	case pingFrame:
		c.mu.Lock()
		c.control(pongFrame, 0, f.payload)
		c.flush(false)
	case goAwayFrame:
		if len(f.payload) < 4 {
			return broken("a GOAWAY of %d bytes", len(f.payload))
		}
		c.goAway(binary.BigEndian.Uint32(f.payload))
	case pongFrame, settingsFrame, endFrame, callFrame, openFrame, cancelFrame:
	default: // of a later version
	}
	return nil
}

// taken is the call that an answer is for; nil when nobody waits.
func (c *Client) taken(id uint32) *clientCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[id]
	if call != nil {
		delete(c.calls, id)
		c.ended()
	}
	return call
}

func (c *Client) status(id uint32, e *problem.Error, refused bool) {
	var err error
	switch {
	case refused:
		err = &Broken{Err: e}
	case e != nil:
		err = e
	}
	if call := c.taken(id); call != nil {
		if call.err = err; err == nil {
			call.err = problem.New(codes.Internal, "INTERNAL", "the server ended the call without an answer")
		}
		call.done <- struct{}{}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[id]; s != nil {
		delete(c.streams, id)
		if err == nil {
			err = io.EOF
		}
		s.finish(err)
		c.ended()
	}
}
