// Package admin is the listener of a process for those who run it: metrics, health, and whatever other packages have to show or to set. It
// is apart from what users reach, and listens on loopback unless asked.
//
// The registry says where: metadata [Key] of each instance, so that Prometheus and the command line find it.
//
// # Limits
//
//	header list        16 KiB
//	body               64 KiB
//	reading a request   5 s
//	an answer          60 s    a profile, or the tail of a log; a page that follows sets its own with http.ResponseController
//	connections        64      further ones wait
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Key is the name of the registry's metadata that says where the listener is: host:port.
const Key = "admin"

const (
	maxHeader   = 16 << 10
	maxBody     = 64 << 10
	maxConns    = 64
	readTimeout = 5 * time.Second
	pageTimeout = time.Minute
	stopTimeout = 2 * time.Second
)

// Config says where to listen.
type Config struct {
	// Address to listen on; default 127.0.0.1:0, any free port on loopback.
	Address string
	Log     *slog.Logger
}

// Server serves the pages that were added to it.
type Server struct {
	ln  net.Listener
	mux *http.ServeMux
	log *slog.Logger

	mu    sync.Mutex
	pages []string
}

// Listen takes the address. Nothing is answered before Serve.
func Listen(ctx context.Context, c Config) (*Server, error) {
	if c.Log == nil {
		return nil, errors.New("admin: Config.Log is needed")
	}
	if c.Address == "" {
		c.Address = "127.0.0.1:0"
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("admin: can't listen: %w", err)
	}
	s := &Server{ln: netutil.LimitListener(ln, maxConns), mux: http.NewServeMux(), log: c.Log}
	s.mux.HandleFunc("GET /{$}", s.index)
	return s, nil
}

// Address is where it listens, host:port.
func (s *Server) Address() string { return s.ln.Addr().String() }

// Handle adds a page; pattern is http.ServeMux's, and one that is there already panics, as it does there.
func (s *Server) Handle(pattern string, page http.Handler) {
	s.mux.Handle(pattern, page)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages = append(s.pages, pattern)
}

// Serve answers until ctx ends, and then closes the listener and waits for what runs, for 2 s at most.
func (s *Server) Serve(ctx context.Context) error {
	hs := &http.Server{
		Handler: s.front(), ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: pageTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- hs.Serve(s.ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("admin: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := hs.Shutdown(stop); err != nil {
		return hs.Close()
	}
	return nil
}

// Close gives the address back, when Serve was never called.
func (s *Server) Close() error {
	if err := s.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// front refuses what a web page of another origin could send here through its reader's browser: names that were made to mean loopback (DNS
// rebinding), and requests across origins.
func (s *Server) front() http.Handler {
	safe := http.NewCrossOriginProtection().Handler(s.mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !named(r.Host) {
			http.Error(w, "ask for this by its address, not by a name", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		safe.ServeHTTP(w, r)
	})
}

// named says whether a Host header is an address, or this machine's own name for itself, or one without a dot: in a network of containers
// those are services.
func named(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host != "" && !strings.Contains(host, ".")
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	pages := slices.Sorted(slices.Values(s.pages))
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, p := range pages {
		_, _ = fmt.Fprintln(w, p) // whoever asked has gone
	}
}
