package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const (
	goAwayTime    = 100 * time.Millisecond // for a client to read that it should go
	handshakeTime = 5 * time.Second
	altSvcAge     = "3600"  // seconds that a client remembers that there is HTTP/3
	quicOverload  = 0x107   // H3_EXCESSIVE_LOAD (RFC 9114, 8.1)
	unproven      = 256     // handshakes with addresses that are not proved to be the sender's; with more, each has to prove it first
	quicWindow    = 1 << 20 // bytes that a stream may send ahead
	quicConn      = 4 * quicWindow
)

// http3Server serves HTTP/3 beside the port's other versions. A nil one does nothing.
type http3Server struct {
	srv   *http3.Server
	tr    *quic.Transport
	conn  net.PacketConn
	ln    *quic.Listener
	slots chan struct{}
	runs  atomic.Int64 // requests
}

// third opens the port for HTTP/3; nil when it is not asked for. Answers over TCP tell clients of it (Alt-Svc, RFC 7838).
func (g *Gateway) third(ctx context.Context, tcp *http.Server, at net.Addr) (*http3Server, error) {
	if !g.c.HTTP3 {
		return nil, nil //nolint:nilnil // it isn't asked for
	}
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return nil, fmt.Errorf("api: HTTP/3 at %s: %w", at, err)
	}
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, "udp", at.String())
	if err != nil {
		return nil, fmt.Errorf("api: HTTP/3 at %s: %w", at, err)
	}
	handler := tcp.Handler
	h := &http3Server{conn: conn, slots: make(chan struct{}, g.c.MaxConns)}
	h.tr = &quic.Transport{Conn: conn, VerifySourceAddress: func(net.Addr) bool { return len(h.slots) >= unproven }}
	h.srv = &http3.Server{
		MaxHeaderBytes: max(hardMaxHeader, 2*g.c.MaxHeader), IdleTimeout: idleTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.c.ReadTimeout)) // net/http's own server does it itself
			h.runs.Add(1)
			defer h.runs.Add(-1)
			handler.ServeHTTP(w, r)
		}),
	}
	h.ln, err = h.tr.Listen(http3.ConfigureTLSConfig(g.c.TLS), &quic.Config{
		HandshakeIdleTimeout: handshakeTime, MaxIdleTimeout: idleTimeout, KeepAlivePeriod: pingAfter, Allow0RTT: false,
		MaxIncomingStreams: maxConcurrent, MaxStreamReceiveWindow: quicWindow, MaxConnectionReceiveWindow: quicConn,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("api: HTTP/3 at %s: %w", at, err), conn.Close())
	}
	told := `h3=":` + port + `"; ma=` + altSvcAge
	tcp.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.draining.Load() {
			w.Header().Set("Alt-Svc", told)
		}
		handler.ServeHTTP(w, r)
	})
	return h, nil
}

// serve takes connections until leave; then it returns nil.
func (h *http3Server) serve() error {
	for {
		c, err := h.ln.Accept(context.Background())
		if errors.Is(err, quic.ErrServerClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("HTTP/3: %w", err)
		}
		select {
		case h.slots <- struct{}{}:
			go func() {
				defer func() { <-h.slots }()
				_ = h.srv.ServeQUICConn(c) // the connection's error
			}()
		default:
			_ = c.CloseWithError(quicOverload, strconv.Itoa(cap(h.slots))+" connections are open")
		}
	}
}

// leave tells clients to send no more requests there (GOAWAY), waits for what runs until ctx ends, and closes: an idle client need not do so
// itself. What it returns has the end.
func (h *http3Server) leave(ctx context.Context) <-chan error {
	ended := make(chan error, 1)
	if h == nil {
		ended <- nil
		return ended
	}
	go func() {
		quiet, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			for quiet.Err() == nil {
				if wait(quiet, goAwayTime); h.runs.Load() == 0 {
					cancel()
				}
			}
		}()
		_ = h.srv.Shutdown(quiet) // ends with quiet, when not before
		ended <- errors.Join(ctx.Err(), h.ln.Close(), h.tr.Close(), h.conn.Close())
	}()
	return ended
}
