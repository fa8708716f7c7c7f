package rpc

import (
	"context"
	"net"
	"sync"

	grpcpeer "google.golang.org/grpc/peer"

	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
)

// connections are the open ones of a server whose handlers may cut them, by the address of the other side.
type connections struct {
	mu   sync.Mutex
	open map[string]net.Conn
}

// abortKey is of *connections, in the context of a handler.
type abortKey struct{}

// Abort cuts the connection by which the call came whose handler has ctx, as a fault would: no answer goes out, and every call on that connection
// is lost. It says whether it did: it doesn't when ServerConfig.Abortable is false, of a direct call, and over go-micro's own RPC.
func Abort(ctx context.Context) bool {
	all, _ := ctx.Value(abortKey{}).(*connections)
	if all == nil {
		return false
	}
	if conn, ok := ctx.Value(callctx.ConnKey{}).(*callctx.Conn); ok {
		_ = conn.Close() // it was closed already
		return true
	}
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return false
	}
	all.mu.Lock()
	conn := all.open[p.Addr.String()]
	all.mu.Unlock()
	if conn == nil {
		return false
	}
	_ = conn.Close() // it was closed already
	return true
}

// tracked remembers a connection until it is closed.
func (s *Server) tracked(conn net.Conn) net.Conn {
	all := s.conns
	if all == nil {
		return conn
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.open[conn.RemoteAddr().String()] = conn
	return &trackedConn{Conn: conn, all: all}
}

type trackedConn struct {
	net.Conn
	all  *connections
	once sync.Once
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.once.Do(func() {
		c.all.mu.Lock()
		defer c.all.mu.Unlock()
		delete(c.all.open, c.RemoteAddr().String())
	})
	return c.Conn.Close()
}

// abortable lets a handler find its connection.
func (s *Server) abortable(ctx context.Context) context.Context {
	if s.conns == nil {
		return ctx
	}
	return context.WithValue(ctx, abortKey{}, s.conns)
}
