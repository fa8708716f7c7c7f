package rpc

import (
	"context"
	"errors"
	"io"
	"sync"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
)

// pipeDepth is how many messages a direct stream holds in each direction; then Send waits.
const pipeDepth = 16

// pipe is a stream between two goroutines of this process. Every message is copied: a sender may go on with its own.
type pipe struct {
	ctx  callctx.Context
	s    *Server
	m    *method
	up   chan proto.Message // from the client
	down chan proto.Message
	done chan struct{} // closed when the handler has returned
	err  error         // what it returned; after done
}

// directStream opens the stream directly if that is possible.
func (c *Client) directStream(
	ctx context.Context, req client.Request, info *methodInfo, o *client.CallOptions, meant share,
) (client.Stream, bool) {
	s, m := c.local(req, info, o, meant)
	if s == nil || !m.streamed || ctx.Err() != nil {
		return nil, false
	}
	var callee context.Context
	var cancel context.CancelFunc
	if o.StreamTimeout > 0 {
		callee, cancel = context.WithTimeout(ctx, o.StreamTimeout)
	} else {
		callee, cancel = context.WithCancel(ctx)
	}
	p := &pipe{
		s: s, m: m, up: make(chan proto.Message, pipeDepth), down: make(chan proto.Message, pipeDepth), done: make(chan struct{}),
	}
	at, _ := callee.Deadline()
	p.ctx.Init(callee, s.keys, at, s.keys.Span(ctx), s.incoming(ctx))
	p.ctx.Join()
	if !s.live.begin() {
		cancel()
		return nil, false
	}
	s.workers.Run(p)
	return &pipeClient{c: c, p: p, ctx: callee, cancel: cancel, req: req, oneRequest: !info.clientStream}, true
}

// Run runs the handler behind its chain.
func (p *pipe) Run() {
	req := &request{service: p.s.c.Name, endpoint: p.m.name, call: &p.ctx, stream: true}
	p.err = p.m.run(&p.ctx, req, &serverStream{wire: p, ctx: &p.ctx, req: req})
	close(p.done)
	p.s.live.end(&p.ctx)
}

// SendMsg sends from the handler.
func (p *pipe) SendMsg(m any) error {
	out, err := cloned(m)
	if err != nil {
		return err
	}
	if err := p.ctx.Err(); err != nil {
		return problem.From(err)
	}
	select {
	case p.down <- out:
		return nil
	case <-p.ctx.Done():
		return problem.From(p.ctx.Err())
	}
}

// RecvMsg receives for the handler; io.EOF when the client has sent its last.
func (p *pipe) RecvMsg(m any) error {
	select {
	case in, ok := <-p.up:
		if !ok {
			return io.EOF
		}
		return into(m, in)
	case <-p.ctx.Done():
		return problem.From(p.ctx.Err())
	}
}

func cloned(m any) (proto.Message, error) {
	msg, ok := m.(proto.Message)
	if !ok {
		return nil, problem.InvalidArgument("BAD_MESSAGE", "a %T is not a proto message", m)
	}
	return proto.Clone(msg), nil
}

func into(m any, from proto.Message) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return problem.InvalidArgument("BAD_MESSAGE", "a %T is not a proto message", m)
	}
	proto.Reset(msg)
	return copied(msg, from)
}

// pipeClient is the caller's side of a pipe. One goroutine may send while another receives.
type pipeClient struct {
	c          *Client
	p          *pipe
	ctx        context.Context
	cancel     context.CancelFunc
	req        client.Request
	oneRequest bool

	mu     sync.Mutex // of the sending direction
	closed bool

	failing sync.Mutex
	failed  error
}

var _ client.Stream = (*pipeClient)(nil)

func (s *pipeClient) Context() context.Context  { return s.ctx }
func (s *pipeClient) Request() client.Request   { return s.req }
func (s *pipeClient) Response() client.Response { return nil }

// Send sends a message, and after the only one of a method that takes no stream the end of the sending direction.
func (s *pipeClient) Send(m any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.note(problem.Internal(errors.New("rpc: Send after CloseSend")))
	}
	in, err := cloned(m)
	if err == nil {
		err = s.c.fits(in, nil)
	}
	if err != nil {
		return s.note(err)
	}
	select {
	case s.p.up <- in:
	case <-s.p.done: // why is what Recv returns
		if s.oneRequest {
			return nil // as methodInfo.over has it
		}
		return io.EOF
	case <-s.ctx.Done():
		return s.note(problem.From(s.ctx.Err()))
	}
	if s.oneRequest {
		s.closed = true
		close(s.p.up)
	}
	return nil
}

// Recv receives a message; io.EOF is a good end.
func (s *pipeClient) Recv(m any) error {
	select {
	case out := <-s.p.down:
		return s.received(m, out)
	case <-s.ctx.Done():
		return s.note(problem.From(s.ctx.Err()))
	case <-s.p.done:
	}
	select {
	case out := <-s.p.down: // sent before the end
		return s.received(m, out)
	default:
	}
	defer s.cancel()
	if s.p.err == nil {
		return io.EOF
	}
	if err := s.ctx.Err(); err != nil {
		return s.note(problem.From(err))
	}
	return s.note(told(s.p.err))
}

func (s *pipeClient) received(m any, out proto.Message) error {
	if err := s.c.fits(out, nil); err != nil {
		s.cancel()
		return s.note(err)
	}
	return s.note(into(m, out))
}

func (s *pipeClient) note(err error) error {
	if err == nil {
		return nil
	}
	s.failing.Lock()
	defer s.failing.Unlock()
	if s.failed == nil {
		s.failed = err
	}
	return err
}

// Error returns the first error of the stream.
func (s *pipeClient) Error() error {
	s.failing.Lock()
	defer s.failing.Unlock()
	return s.failed
}

// CloseSend says that no further message will be sent.
func (s *pipeClient) CloseSend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.p.up)
	}
	return nil
}

// Close ends the stream, and the server's handler with it.
func (s *pipeClient) Close() error {
	s.cancel()
	return nil
}
