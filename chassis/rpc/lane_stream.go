package rpc

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"go-micro.dev/v4/client"

	"github.com/cleavehq/cleave/chassis/rpc/internal/lane"
)

// laneStream is a client.Stream over the lane. One goroutine may send while another receives.
type laneStream struct {
	ctx    context.Context
	c      *Client
	t      *target
	p      *peer
	wire   laneMessages
	req    client.Request
	info   *methodInfo
	cancel context.CancelFunc
	failed atomic.Pointer[error]
}

var _ client.Stream = (*laneStream)(nil)

// openLane opens a stream over the lane. errNoLane says that it has to be opened over gRPC.
func (c *Client) openLane(
	ctx context.Context, t *target, p *peer, info *methodInfo, req client.Request, cancel context.CancelFunc,
) (client.Stream, error) {
	cl, err := c.lane(ctx, p)
	if err != nil {
		if !errors.Is(err, errNoLane) {
			err = &lane.Broken{Err: err}
		}
		return nil, c.laneOutcome(ctx, t, p, err)
	}
	h := c.head(ctx, info, c.clock.now())
	st, err := cl.Open(ctx, &h)
	if err != nil {
		return nil, c.laneOutcome(ctx, t, p, err)
	}
	p.begin(c.clock.now()) // until the stream ends
	context.AfterFunc(ctx, func() {
		st.Cancel()
		p.end()
	})
	return &laneStream{ctx: ctx, c: c, t: t, p: p, wire: laneMessages{st}, req: req, info: info, cancel: cancel}, nil
}

func (s *laneStream) Context() context.Context  { return s.ctx }
func (s *laneStream) Request() client.Request   { return s.req }
func (s *laneStream) Response() client.Response { return nil }

// Send sends a message, and after the only one of a method that takes no stream the end of the sending direction. When the server has ended
// the stream it is io.EOF, and nil of such a method, as it is in grpc-go: why is what Recv returns.
func (s *laneStream) Send(m any) error {
	err := s.wire.SendMsg(m)
	if err == nil && !s.info.clientStream {
		s.wire.CloseSend()
	}
	if errors.Is(err, io.EOF) {
		return s.info.over()
	}
	return s.note(err)
}

// Recv receives a message; io.EOF is a good end.
func (s *laneStream) Recv(m any) error {
	err := s.wire.RecvMsg(m)
	if err == nil {
		return nil
	}
	defer s.cancel()
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return s.note(err)
}

func (s *laneStream) note(err error) error {
	if err == nil {
		return nil
	}
	err = s.c.laneOutcome(s.ctx, s.t, s.p, err)
	var broken *brokenError
	if errors.As(err, &broken) {
		err = broken.problem(s.t.name, s.info.idempotent)
	}
	s.failed.CompareAndSwap(nil, &err)
	return err
}

// Error returns the first error of the stream.
func (s *laneStream) Error() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// CloseSend says that no further message will be sent.
func (s *laneStream) CloseSend() error {
	s.wire.CloseSend()
	return nil
}

// Close ends the stream, and the server's handler with it.
func (s *laneStream) Close() error {
	s.cancel()
	return nil
}
