package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go-micro.dev/v4/server"
	"go-micro.dev/v4/transport"

	"github.com/cleavehq/cleave/chassis/problem"
)

// endOfStream is the text by which go-micro's server ends a stream (server/rpc_util.go: errLastStreamResponse, not exported).
const endOfStream = "EOS"

func isEndOfStream(err error) bool { return err.Error() == endOfStream }

// newMicroServer makes a stock go-micro server. It registers nowhere: the registry is told by us.
func newMicroServer(c ServerConfig, more ...server.Option) server.Server {
	opts := []server.Option{
		server.Name(c.Name), server.Id(c.ID), server.Version(c.Version), server.Address("127.0.0.1:0"),
		server.Registry(nowhere{}), server.Broker(shared{c.Broker}), server.WithLogger(silent{}),
		server.RegisterInterval(0), server.Codec("application/json", newJSONCodec),
	}
	return server.NewRPCServer(append(opts, more...)...)
}

// microWire serves go-micro's RPC over HTTP/1 with the stock server.
type microWire struct {
	server  server.Server
	calls   calls
	conns   *queue
	service string

	mu   sync.Mutex
	open map[*microConn]struct{}
	shut bool
}

func (s *Server) startMicro(conns *queue) (*microWire, error) {
	w := &microWire{conns: conns, service: s.c.Name, open: map[*microConn]struct{}{}}
	http := transport.NewHTTPTransport(transport.Logger(silent{}))
	opts := []server.Option{
		server.Transport(http), server.ListenOption(transport.NetListener(&microListener{queue: conns, wire: w, limit: s.c.MaxMessage, authorize: s.c.Authorize})),
		server.WrapHandler(w.counted(s.c.Name, s.guard)), server.WrapHandler(s.admitted), server.WrapHandler(s.validated), server.WrapHandler(encoded),
	}
	for _, wrap := range s.opts.HdlrWrappers {
		opts = append(opts, server.WrapHandler(wrap))
	}
	for _, wrap := range s.opts.SubWrappers {
		opts = append(opts, server.WrapSubscriber(wrap))
	}
	for contentType, c := range s.opts.Codecs {
		opts = append(opts, server.Codec(contentType, c))
	}
	w.server = newMicroServer(s.c, opts...)
	for _, h := range s.handlers {
		if err := w.server.Handle(h); err != nil {
			return nil, fmt.Errorf("rpc: handle %s: %w", h.Name(), err)
		}
	}
	for _, sub := range s.subscribers {
		if err := w.server.Subscribe(sub); err != nil {
			return nil, fmt.Errorf("rpc: subscribe to %s: %w", sub.Topic(), err)
		}
	}
	if err := w.server.Start(); err != nil {
		return nil, fmt.Errorf("rpc: start go-micro's RPC: %w", err)
	}
	return w, nil
}

// counted keeps count of running calls and sends errors in go-micro's form.
func (w *microWire) counted(service string, guard server.HandlerWrapper) server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		next = guard(next)
		return func(ctx context.Context, req server.Request, rsp any) error {
			w.calls.begin()
			defer w.calls.end()
			err := next(ctx, req, rsp)
			if err == nil || isEndOfStream(err) {
				return err
			}
			return problem.From(err).Micro(service)
		}
	}
}

// settled is how long a connection must have been silent after its last answer began, to be sure that the answer is out: go-micro's server
// writes answers behind our back.
const settled = 20 * time.Millisecond

// drain waits until no call runs and every answer is out, or until ctx ends.
func (w *microWire) drain(ctx context.Context) {
	select {
	case <-w.calls.idle():
	case <-ctx.Done():
	}
	for ctx.Err() == nil && !w.answered(time.Now()) {
		wait(ctx, settled/4)
	}
}

func (w *microWire) answered(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		if !c.answered(now) {
			return false
		}
	}
	return true
}

// close cuts what is left.
func (w *microWire) close() error {
	w.mu.Lock()
	w.shut = true
	open := w.open
	w.open = nil
	w.mu.Unlock()
	for c := range open {
		_ = c.Close()
	}
	if err := w.server.Stop(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop go-micro's RPC: %w", err)
	}
	return nil
}

// microListener limits and remembers the connections that go-micro's server is given.
type microListener struct {
	*queue
	wire      *microWire
	limit     int
	authorize func(string, *tls.ConnectionState) error
}

// Accept implements net.Listener.
func (l *microListener) Accept() (net.Conn, error) {
	c, err := l.queue.Accept()
	if err != nil {
		return nil, err
	}
	mc := &microConn{Conn: c, wire: l.wire, limit: l.limit + maxHeaderList, authorize: l.authorize, fresh: true}
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	if l.wire.shut {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	l.wire.open[mc] = struct{}{}
	return mc, nil
}

// microConn bounds what a client may send before it gets an answer: go-micro's server would read a body of any size into memory.
type microConn struct {
	net.Conn
	wire      *microWire
	limit     int
	authorize func(string, *tls.ConnectionState) error // nil for everyone

	mu      sync.Mutex
	fresh   bool      // a request is to begin
	read    int       // bytes since the last answer began
	written time.Time // when the last of it was
}

func (c *microConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	fresh := c.fresh && n > 0
	c.fresh = c.fresh && !fresh
	c.mu.Unlock()
	if fresh {
		if err := c.authorized(); err != nil {
			clear(p[:n])
			return 0, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read += n; c.read > c.limit {
		return 0, fmt.Errorf("rpc: more than %d bytes with no answer", c.limit)
	}
	return n, err
}

func (c *microConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.read, c.written, c.fresh = 0, time.Now(), true
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *microConn) answered(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read == 0 && now.Sub(c.written) > settled
}

func (c *microConn) Close() error {
	c.wire.mu.Lock()
	delete(c.wire.open, c)
	c.wire.mu.Unlock()
	return c.Conn.Close()
}
