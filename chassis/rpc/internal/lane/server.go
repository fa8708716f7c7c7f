package lane

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"go-micro.dev/v4/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
	"github.com/cleavehq/cleave/chassis/rpc/internal/work"
)

const (
	serverTick = 10 * time.Second
	serverDead = 8 // silent ticks until a client is taken for dead
	farewell   = time.Second
	greeting   = 5 * time.Second
)

// Method is what a call is made to.
type Method interface {
	// Streamed says whether Stream or Unary serves it.
	Streamed() bool
	// NewRequest makes an empty request; of a unary method.
	NewRequest() proto.Message
	Unary(ctx *callctx.Context, in proto.Message) (proto.Message, error)
	Stream(ctx *callctx.Context, s *Stream) error
}

// Service finds methods, and runs them.
type Service struct {
	// Find returns the method at a path, nil when there is none. It must not keep path.
	Find func(path []byte) Method
	// Authorize refuses calls before they are decoded; nil for none.
	Authorize func(path string, peer *tls.ConnectionState) error
	// Incoming makes the metadata that a handler sees of what came. It may return its argument.
	Incoming func(metadata.Metadata) metadata.Metadata
	Keys     *callctx.Keys
	Workers  *work.Pool
	// Admit lets a unary call begin, on its worker, and then leave is called with its error; or it says why not. Nil lets all.
	Admit func(ctx *callctx.Context, m Method) (leave func(error), err error)
}

// Server is the serving side of a connection.
type Server struct {
	*conn
	s      *Service
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	tls    *tls.ConnectionState // nil for none

	// With conn.mu:
	last     uint32 // the newest call
	calls    map[uint32]*serverCall
	draining bool
	idle     chan struct{} // closed when it drains and nothing runs
}

// serverCall is a call or stream that runs.
type serverCall struct {
	ctx  callctx.Context
	from callctx.Span
	c    *Server
	id   uint32
	m    Method
	in   proto.Message
	raw  []byte // of in, when it's not decoded yet
	st   *Stream
}

// NewServer makes the serving side of nc, from which Magic was not read yet. Serve runs it.
func NewServer(nc net.Conn, conf Config, s *Service) *Server {
	c := &Server{conn: newConn(nc, conf), s: s, calls: map[uint32]*serverCall{}, idle: make(chan struct{})}
	if t, ok := nc.(*tls.Conn); ok {
		state := t.ConnectionState()
		c.tls = &state
	}
	base := conf.Context
	if base == nil {
		base = context.Background()
	}
	c.ctx, c.cancel = context.WithCancel(base)
	c.tick, c.beat = serverTick, c.keepAlive
	return c
}

// Serve serves until the connection ends. The contexts of handlers that still run have ended then.
func (c *Server) Serve() error {
	err := c.greet()
	if err == nil {
		c.serve()
		err = c.readAll()
	}
	c.mu.Lock()
	c.fail(err)
	err = c.err
	for _, call := range c.calls {
		if call.st != nil {
			call.st.finish(&Broken{Sent: true, Err: err})
		}
	}
	c.checkIdle()
	c.mu.Unlock()
	c.cancel()
	c.all.Wait()
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (c *Server) greet() error {
	if err := c.nc.SetDeadline(time.Now().Add(greeting)); err != nil {
		return err
	}
	magic, err := c.r.r.Peek(len(Magic))
	if err != nil {
		return err
	}
	if string(magic) != Magic {
		return broken("it begins with %q", magic)
	}
	c.r.skip, c.r.at = len(Magic), time.Now() // what follows may have come with it
	f, err := c.r.next()
	if err != nil {
		return err
	}
	if f.kind != settingsFrame {
		return broken("it begins with a frame of kind %d", f.kind)
	}
	if c.peer, err = readSettings(f.payload); err != nil {
		return err
	}
	hello := c.own.append(appendHeader(nil, settingsFrame, 0))
	finish(hello, 0)
	if _, err := c.nc.Write(hello); err != nil {
		return err
	}
	return c.nc.SetDeadline(time.Time{})
}

func (c *Server) keepAlive(quiet int) {
	if quiet >= serverDead {
		c.mu.Lock()
		c.fail(errors.New("the client is silent"))
		c.mu.Unlock()
	}
}

// Drain takes no further calls, waits until those that run have ended and their answers are out, and closes. When ctx ends first, it cuts
// what runs.
func (c *Server) Drain(ctx context.Context) {
	c.mu.Lock()
	if !c.draining {
		c.draining = true
		c.control(goAwayFrame, 0, binary.BigEndian.AppendUint32(nil, c.last))
		c.checkIdle()
	}
	c.flush(false)
	select {
	case <-c.idle:
		// The client closes as soon as it has read its last answer. If we did, an answer that it hasn't read yet could be lost.
		t := time.NewTimer(farewell)
		defer t.Stop()
		select {
		case <-c.gone:
		case <-t.C:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.fail(net.ErrClosed)
	c.mu.Unlock()
}

// checkIdle tells Drain, with c.mu held.
func (c *Server) checkIdle() {
	if len(c.calls) > 0 || !c.draining && c.err == nil {
		return
	}
	select {
	case <-c.idle:
	default:
		close(c.idle)
	}
}

func (c *Server) readAll() error {
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

func (c *Server) handle(f frame) error {
	switch f.kind {
	case callFrame, openFrame:
		return c.call(f)
	case dataFrame, endFrame, windowFrame:
		c.mu.Lock()
		defer c.mu.Unlock()
		if call := c.calls[f.id]; call != nil {
			return c.streamFrame(call.st, f)
		}
	case cancelFrame:
		c.mu.Lock()
		call := c.calls[f.id]
		c.mu.Unlock()
		if call != nil {
			call.ctx.Cancel()
		}
	case pingFrame:
		c.mu.Lock()
		c.control(pongFrame, 0, f.payload)
		c.flush(false)
	case settingsFrame, replyFrame, statusFrame, pongFrame, goAwayFrame:
	default: // of a later version
	}
	return nil
}

// call begins a call or a stream.
func (c *Server) call(f frame) error {
	h, path, body, err := readHead(f.payload)
	if err != nil {
		return err
	}
	call := &serverCall{c: c, id: f.id, m: c.s.Find(path)}
	var refusal *problem.Error
	if c.s.Authorize != nil {
		if err := c.s.Authorize(string(path), c.tls); err != nil {
			refusal = problem.From(err)
		}
	}
	switch {
	case refusal != nil:
	case call.m == nil:
		refusal = problem.Unimplemented("NO_SUCH_METHOD", "there is no method %s here", path)
	case call.m.Streamed() != (f.kind == openFrame):
		refusal = problem.Unimplemented("NO_SUCH_METHOD", "the method %s is called in the wrong way", path)
	case f.kind == openFrame:
	case len(body) > decodeThere:
		call.raw = append([]byte{}, body...)
	default:
		call.in = call.m.NewRequest()
		if err := proto.Unmarshal(body, call.in); err != nil {
			refusal = badMessage(err)
		}
	}
	var until time.Time
	if h.Timeout > 0 {
		until = c.r.at.Add(h.Timeout)
	}
	call.from.Is = h.Span
	call.ctx.Init(c.ctx, c.s.Keys, until, &call.from, c.s.Incoming(h.Meta))
	call.ctx.Peer = c.tls

	c.mu.Lock()
	if f.id <= c.last {
		c.mu.Unlock()
		return broken("call %d comes after %d", f.id, c.last)
	}
	if c.draining || c.err != nil { // it was told
		c.mu.Unlock()
		return nil //nolint:nilerr // the reader finds out by itself
	}
	c.last = f.id
	refused := false
	if refusal == nil && uint64(len(c.calls)) >= c.own.maxCalls {
		refusal, refused = problem.Unavailable("TOO_MANY_CALLS", "there are %d calls on this connection", len(c.calls)), true
	}
	if refusal != nil {
		c.status(f.id, refusal, refused)
		c.flush(false)
		return nil
	}
	if f.kind == openFrame {
		call.st = &Stream{c: c.conn, id: f.id, ctx: &call.ctx, credit: int(c.peer.window)} //nolint:gosec // checked
	}
	c.calls[f.id] = call
	c.mu.Unlock()
	c.s.Workers.Run(call)
	return nil
}

func badMessage(err error) *problem.Error {
	return problem.InvalidArgument("BAD_MESSAGE", "the request is not what the contract says").Because(err)
}

// status puts a STATUS, with c.mu held.
func (c *Server) status(id uint32, e *problem.Error, refused bool) {
	c.control(statusFrame, id, appendStatus(nil, e, refused))
}

// Run serves the call.
func (s *serverCall) Run() {
	var out proto.Message
	var err error
	switch {
	case s.st != nil:
		err = s.m.Stream(&s.ctx, s.st)
	case s.c.s.Admit == nil:
		out, err = s.unary()
	default:
		var leave func(error)
		if leave, err = s.c.s.Admit(&s.ctx, s.m); err == nil {
			out, err = s.unary()
			leave(err)
		}
	}
	s.c.answer(s, out, err)
	s.ctx.Cancel()
}

func (s *serverCall) unary() (proto.Message, error) {
	if s.raw != nil {
		s.in = s.m.NewRequest()
		if bad := proto.Unmarshal(s.raw, s.in); bad != nil {
			return nil, badMessage(bad)
		}
		s.raw = nil
	}
	return s.m.Unary(&s.ctx, s.in)
}

// answer sends what came of a call.
func (c *Server) answer(s *serverCall, out proto.Message, err error) {
	var size int
	var body []byte
	if err == nil && s.st == nil {
		if size = proto.Size(out); uint64(size) > c.peer.maxMessage { //nolint:gosec // a size
			err = problem.ResourceExhausted("MESSAGE_TOO_LARGE", "an answer of %d bytes is larger than the %d that are allowed", size, c.peer.maxMessage)
		} else if size > small {
			body, err = encode(make([]byte, 0, size), out)
		}
	}
	c.mu.Lock()
	_ = c.wait(nil) //nolint:staticcheck // no context: the answer goes out, or the connection breaks
	delete(c.calls, s.id)
	if s.st != nil {
		s.st.finish(io.EOF)
	}
	if c.err == nil {
		if err == nil && s.st == nil {
			start := c.put(replyFrame, s.id)
			if body == nil {
				body, err = encode(c.buf, out)
			} else {
				body = append(c.buf, body...)
			}
			if c.buf = c.buf[:start]; err == nil {
				c.buf = body
				c.end(start)
			}
		}
		if err != nil || s.st != nil {
			c.status(s.id, problem.From(err), false)
		}
	}
	alone := len(c.calls) == 0
	c.checkIdle()
	c.flush(alone)
}
