package rpc

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"go-micro.dev/v4/client"
	"google.golang.org/grpc"
)

// clientStream is a client.Stream over gRPC. One goroutine may send while another receives.
type clientStream struct {
	ctx    context.Context // the caller's; grpc's own ends with the stream
	c      *Client
	t      *target
	p      *peer
	a      *attempt
	grpc   grpc.ClientStream
	req    client.Request
	info   *methodInfo
	cancel context.CancelFunc
	failed atomic.Pointer[error]
}

var _ client.Stream = (*clientStream)(nil)

func (s *clientStream) Context() context.Context  { return s.ctx }
func (s *clientStream) Request() client.Request   { return s.req }
func (s *clientStream) Response() client.Response { return nil }

// Send sends a message, and after the only one of a method that takes no stream the end of the sending direction. When the server has ended
// the stream it is io.EOF, and nil of such a method: why is what Recv returns.
func (s *clientStream) Send(m any) error {
	err := s.grpc.SendMsg(m)
	if err == nil && !s.info.clientStream {
		err = s.grpc.CloseSend()
	}
	if errors.Is(err, io.EOF) {
		return s.info.over()
	}
	return s.note(err)
}

// Recv receives a message; io.EOF is a good end.
func (s *clientStream) Recv(m any) error {
	err := s.grpc.RecvMsg(m)
	if err == nil {
		return nil
	}
	defer s.cancel()
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return s.note(err)
}

func (s *clientStream) note(err error) error {
	if err == nil {
		return nil
	}
	err = s.c.outcome(s.ctx, s.t, s.p, s.a, err)
	var broken *brokenError
	if errors.As(err, &broken) {
		err = broken.problem(s.t.name, s.info.idempotent)
	}
	s.failed.CompareAndSwap(nil, &err)
	return err
}

// Error returns the first error of the stream.
func (s *clientStream) Error() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// CloseSend says that no further message will be sent.
func (s *clientStream) CloseSend() error { return s.note(s.grpc.CloseSend()) }

// Close ends the stream, and the server's handler with it.
func (s *clientStream) Close() error {
	s.cancel()
	return nil
}
