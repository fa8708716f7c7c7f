package rpc

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"github.com/cleavehq/cleave/chassis/problem"
)

// authorization asks Authorize for each gRPC call when its headers have come, and before a frame of its request is looked at.
func (s *Server) authorization() grpc.ServerOption {
	authorize := s.c.Authorize
	if authorize == nil {
		return grpc.EmptyServerOption{}
	}
	return grpc.InTapHandle(func(ctx context.Context, info *tap.Info) (context.Context, error) {
		var state *tls.ConnectionState
		if p, ok := grpcpeer.FromContext(ctx); ok {
			if t, ok := p.AuthInfo.(credentials.TLSInfo); ok {
				state = &t.State
			}
		}
		if err := authorize(info.FullMethodName, state); err != nil {
			return ctx, problem.From(err)
		}
		return ctx, nil
	})
}

const (
	microError    = "Micro-Error" // header of an answer
	farewellTime  = time.Second
	farewellBytes = 64 << 10
)

// authorized asks Authorize for a request of go-micro's own RPC when its first bytes have come, and before they are looked at. The
// answer is one of HTTP's 200 with the error in go-micro's header: its client takes any other status for an empty answer that went well.
func (c *microConn) authorized() error {
	if c.authorize == nil {
		return nil
	}
	var state *tls.ConnectionState
	t, ok := c.Conn.(*tls.Conn)
	if ok {
		s := t.ConnectionState()
		state = &s
	}
	err := c.authorize("", state)
	if err == nil {
		return nil
	}
	rsp := &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: http.Header{microError: {problem.From(err).Micro(c.wire.service).Error()}},
	}
	_ = c.SetDeadline(time.Now().Add(farewellTime)) // it is going to be closed
	if rsp.Write(c.Conn) == nil && ok && t.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, farewellBytes) // so that the answer isn't lost by a reset
	}
	return net.ErrClosed
}
