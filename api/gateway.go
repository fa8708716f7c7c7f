package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc/credentials"

	"github.com/cleavehq/cleave/api/internal/accesslog"
	"github.com/cleavehq/cleave/api/internal/cache"
	"github.com/cleavehq/cleave/api/internal/compress"
	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/api/internal/limit"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/resilience"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// Name of the gateway in the registry.
const Name = "gateway"

const (
	writeTimeout  = 30 * time.Second // of one write
	idleTimeout   = 2 * time.Minute
	pingAfter     = 30 * time.Second // of silence on a connection of HTTP/2
	pingTimeout   = 15 * time.Second // for the answer
	maxConcurrent = 250              // streams of one HTTP/2 connection; who opens and resets more at once is cut off (CVE-2023-44487)
	hardMaxHeader = 1 << 20          // net/http's own limit, far above ours, which has a problem document
	drainWait     = time.Second      // for those in front of us to notice
	drainTime     = 15 * time.Second // for what runs
)

// Config is what a Gateway needs. Registry, Client and Log must be given.
type Config struct {
	Registry registry.Registry
	// Client calls the services; chassis/rpc's.
	Client client.Client
	// Gate lets unary calls in, as many of each service as the services can do, the least important refused first; nil lets all in.
	Gate *resilience.Gate
	Log  *slog.Logger
	// Metrics is what the gateway adds to; default a new one.
	Metrics *prometheus.Registry
	// Tracer records the requests; nil for none.
	Tracer *telemetry.Tracer
	// Version is in the registry and in /openapi.json; default "dev".
	Version string
	// Admin is where the process's own listener is (package admin), host:port; in the registry, unless it is empty.
	Admin string
	// Advertise is the host that is registered; default the one it listens on.
	Advertise string
	// MaxBody of a request in bytes; default 4 MiB.
	MaxBody int64
	// MaxHeader is how many bytes the headers of a request may have; default 64 KiB.
	MaxHeader int
	// MaxInFlight is how many requests are served at once; default 4,096.
	MaxInFlight int
	// MaxConns is how many connections are served at once; default 10,000.
	MaxConns int
	// HeaderTimeout is how long the headers of a request may take, from the first byte; default 5 s. ReadTimeout is for all of it; default 30 s.
	HeaderTimeout, ReadTimeout time.Duration
	// MaxStreams is how many streams are open at once; default 4,096. They are not among the requests in flight.
	MaxStreams int
	// Heartbeat is how often a stream that says nothing shows that it is there; default 15 s.
	Heartbeat time.Duration
	// HoldFor is how long a request waits for the routes of a gateway that has just started; default 2 s. 1,024 may wait, further ones and those
	// for which the time is up get 503 NOT_READY.
	HoldFor time.Duration
	// StreamGrace is how long streams may go on when the gateway stops, before they are told to go elsewhere; default 5 s.
	StreamGrace time.Duration
	// TLS makes the port speak TLS: HTTP/2 and HTTP/1.1, by ALPN. Without it the port speaks HTTP/1.1 and HTTP/2 in the clear (h2c, with prior
	// knowledge).
	TLS *tls.Config
	// HTTP3 makes the gateway speak HTTP/3, too, on the same port over UDP; it needs TLS.
	HTTP3 bool
	// Origin says whether a browser's page may open a WebSocket; default: one of the same host or of Origins, and whatever is no browser.
	Origin func(*http.Request) bool
	// MaxCache is how many bytes of answers are kept, of methods whose policy has a cache; default 64 MiB.
	MaxCache int64
	// Mirrors sends the copies of calls that a policy mirrors; default Client. One of its own keeps their failures from Client's circuit breakers.
	Mirrors client.Client
	// Timeout of a unary call whose policy has none; default 10 s.
	Timeout time.Duration
	// Issuers of the access tokens that are taken. Without any, tokens say nothing here and go on to the services.
	Issuers []Issuer
	// Keys are the API keys that are taken, package apikey's documents by id; nil for none.
	Keys kv.Watcher
	// Overrides are what operators say about methods, by "shop.order.v1.Order/CancelOrder" or "shop.order.v1.Order/*"; nil for nothing. Routes
	// wait until they were read once.
	Overrides kv.Watcher
	// Broker is what the topics and the hooks of the edge lead to; nil for none of them. Topics need one that is an events.Follower.
	Broker broker.Broker
	// Hooks are what operators say about webhooks that become events, by name; nil for none.
	Hooks kv.Watcher
	// Origins are those whose pages may call from a browser (CORS), such as "https://shop.example", or "*" for every one; none by default.
	Origins []string
	// Credentials are those for connections that ask instances of a service for its contract; nil for connections in the clear.
	Credentials func(service string) credentials.TransportCredentials
	// AccessLog is where a JSON line goes for each request that failed or was slow, and for AccessShare of the others; nil for no such lines.
	// It may block: nobody waits for it, what doesn't fit is dropped and counted. docs/edge.md has the fields.
	AccessLog io.Writer
	// AccessShare of the requests that are neither failed nor slow get a line, 0 to 1; default none.
	AccessShare float64
	// SlowRequest is how long a request takes at least that is slow; default 1 s. A stream never is.
	SlowRequest time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Gateway is an http.Handler that is kept current by Run.
type Gateway struct {
	c        Config
	metrics  *metrics
	table    atomic.Pointer[table] // nil until the registry has answered
	hold     *hold                 // those who wait for it
	contract *contracts
	changes  chan struct{} // the registry has changed, or a contract has come
	inFlight chan struct{}
	draining atomic.Bool
	streams  *streams
	access   *accesslog.Log // nil for none
	fixed    fixed
	tuned    atomic.Pointer[Tuning]
	slowFrom time.Duration // slowFrom and writeTimeout, but in tests
	writeFor time.Duration

	guard     *guard.Guard
	rates     *limit.Limiter
	kept      *cache.Cache
	mirrors   *mirrors
	encoder   compress.Encoder
	gateways  atomic.Int32                     // in the registry, of those that the rates are divided by
	overrides atomic.Pointer[policy.Overrides] // nil until they were read

	brokerage
}

// New makes a gateway that knows no routes yet.
func New(c Config) (*Gateway, error) {
	if c.Registry == nil || c.Client == nil || c.Log == nil {
		return nil, errors.New("api: Registry, Client and Log are needed")
	}
	if c.HTTP3 && c.TLS == nil {
		return nil, errors.New("api: HTTP/3 needs TLS")
	}
	c.Version = cmp.Or(c.Version, "dev")
	c.MaxHeader = cmp.Or(c.MaxHeader, 64<<10)
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 4096)
	c.MaxConns = cmp.Or(c.MaxConns, 10_000)
	c.MaxStreams = cmp.Or(c.MaxStreams, 4096)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 5*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 30*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 15*time.Second)
	c.HoldFor = cmp.Or(c.HoldFor, 2*time.Second)
	c.StreamGrace = cmp.Or(c.StreamGrace, 5*time.Second)
	c.SlowRequest = cmp.Or(c.SlowRequest, time.Second)
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("api: register metrics: %w", err)
	}
	who, err := newGuard(c)
	if err != nil {
		return nil, err
	}
	t, err := newTraffic(c, m)
	if err != nil {
		return nil, err
	}
	var access *accesslog.Log
	if c.AccessLog != nil {
		access = accesslog.New(accesslog.Config{To: c.AccessLog, Share: c.AccessShare, Slow: c.SlowRequest, Dropped: m.unlogged.Inc})
	}
	changes := make(chan struct{}, 1)
	g := &Gateway{
		kept: t.kept, mirrors: t.mirrors,
		access: access, fixed: newFixed(), streams: newStreams(c.MaxStreams), slowFrom: slowFrom, writeFor: writeTimeout,
		c: c, guard: who, rates: limit.New(), metrics: m, changes: changes,
		contract: newContracts(m, c.Log, c.Credentials, func() { poke(changes) }), inFlight: make(chan struct{}, c.MaxInFlight), hold: newHold(c.HoldFor),
	}
	g.Tune(Tuning{Origins: c.Origins, Timeout: c.Timeout, MaxBody: c.MaxBody})
	if c.Origin == nil {
		g.c.Origin = func(r *http.Request) bool { return sameOrigin(r) || lists(g.origins(), r.Header.Get("Origin")) }
	}
	if g.brokerage, err = newBrokerage(g); err != nil {
		return nil, err
	}
	if c.Overrides == nil {
		g.overrides.Store(&policy.Overrides{})
	}
	return g, nil
}

// Serve runs the gateway on ln: it keeps the routes current, registers the gateway, and serves. When ctx ends it leaves the registry,
// serves for a second longer so that those in front notice, finishes what runs, for 15 s at most, and returns nil. It closes ln.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error {
	e, err := newEntry(g.c, ln.Addr())
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	stop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	watched := make(chan error, 1)
	go func() { watched <- g.Run(stop) }()

	srv := &http.Server{
		Protocols: protocols(), TLSConfig: g.c.TLS,
		HTTP2:   &http.HTTP2Config{MaxConcurrentStreams: maxConcurrent, SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		Handler: g.Handler(), ReadHeaderTimeout: g.c.HeaderTimeout, ReadTimeout: g.c.ReadTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: max(hardMaxHeader, 2*g.c.MaxHeader), // it answers in plain text, and resets those who go on sending
		ErrorLog:       slog.NewLogLogger(g.c.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 2)
	third, err := g.third(ctx, srv, ln.Addr())
	if err != nil {
		return errors.Join(err, ln.Close(), stopped(cancel, watched))
	}
	go func() { served <- serve(srv, netutil.LimitListener(ln, g.c.MaxConns)) }()
	if third != nil {
		go func() { served <- third.serve() }()
	}

	kept := make(chan struct{})
	go func() {
		defer close(kept)
		e.keep(stop)
	}()

	select {
	case err = <-served: // it can't serve
		err = fmt.Errorf("api: serve: %w", err)
	case <-ctx.Done():
		err = g.drain(srv, third, e)
	}
	cancel()
	<-kept
	g.access.Flush()
	return errors.Join(err, <-watched)
}

// stopped ends what keeps the routes.
func stopped(cancel func(), watched <-chan error) error {
	cancel()
	return <-watched
}

func (g *Gateway) drain(srv *http.Server, third *http3Server, e *entry) error {
	g.draining.Store(true)
	e.leave()
	wait(context.Background(), drainWait)
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	defer time.AfterFunc(g.c.StreamGrace, g.streams.leave).Stop()
	ended := third.leave(ctx)
	if err := errors.Join(srv.Shutdown(ctx), g.streams.wait(ctx), <-ended); err != nil {
		return fmt.Errorf("api: requests that still ran were cut: %w", errors.Join(err, srv.Close()))
	}
	return nil
}

// protocols are those of the port: HTTP/1.1, and HTTP/2 in the clear and over TLS.
func protocols() *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

func serve(srv *http.Server, ln net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(ln, "", "")
	}
	return srv.Serve(ln)
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
