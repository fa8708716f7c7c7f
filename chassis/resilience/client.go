package resilience

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	defaultWindow  = 10 * time.Second
	defaultOpenFor = 2 * time.Second
)

// ClientConfig says when calls are not sent. The zero value is fit for use.
type ClientConfig struct {
	// FailureRate, from 0 to 1, at which a method's circuit opens; default 0.5.
	FailureRate float64
	// MinCalls that a method must have had within Window before its circuit may open; default 20.
	MinCalls uint
	// Window over which failures are counted; default 10 s. It slides by tenths.
	Window time.Duration
	// OpenFor is how long an open circuit refuses every call, before it lets Probes through; default 2 s, plus up to a fifth.
	OpenFor time.Duration
	// Probes are the calls of a half-open circuit: when more than half of them succeed it closes, else it opens again; default 4.
	Probes uint
	// MaxCalls is how many calls of one service may run at the same time; default 1,000. Streams count while they are opened.
	MaxCalls int
	// Failed says whether an error tells that the service is ill. Default: Unavailable, DeadlineExceeded, Unknown, Internal and DataLoss.
	Failed func(error) bool
	// Rules say what holds for a method, where it differs from the above; nil for what contracts say.
	Rules *Rules
	// Log gets a line when a circuit changes its state; nil discards.
	Log *slog.Logger
	// Metrics receives resilience_circuit_state, resilience_refused_total and resilience_hedges_total; may be nil.
	Metrics prometheus.Registerer
}

// Client makes client.Wrappers that share their circuits and bulkheads. It is safe for concurrent use.
type Client struct {
	c       ClientConfig
	metrics *metrics
	guards  atomic.Pointer[map[method]*guard]

	mu       sync.Mutex
	services map[string]chan struct{} // full: as many calls as may run do
}

// method of a service.
type method struct{ service, endpoint string }

// NewClient fails when the metrics can't be registered or a value is out of its range.
func NewClient(c ClientConfig) (*Client, error) {
	c.FailureRate = cmp.Or(c.FailureRate, 0.5)
	c.MinCalls = cmp.Or(c.MinCalls, 20)
	c.Window = cmp.Or(c.Window, defaultWindow)
	c.OpenFor = cmp.Or(c.OpenFor, defaultOpenFor)
	c.Probes = cmp.Or(c.Probes, 4)
	c.MaxCalls = cmp.Or(c.MaxCalls, 1000)
	if !(c.FailureRate > 0 && c.FailureRate <= 1) || c.Window < 0 || c.OpenFor < 0 || c.MaxCalls < 0 {
		return nil, errors.New("resilience: want FailureRate from 0 to 1, and nothing negative")
	}
	if c.Failed == nil {
		c.Failed = ill
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, err
	}
	r := &Client{c: c, metrics: m, services: map[string]chan struct{}{}}
	r.guards.Store(&map[method]*guard{})
	return r, nil
}

// ill is the default of ClientConfig.Failed. What a caller did wrong, or a full service refused early, says nothing about its health.
func ill(err error) bool {
	p := problem.From(err)
	switch p.Code {
	case codes.Unavailable:
		return p.Reason != ReasonOverloaded
	case codes.DeadlineExceeded, codes.Unknown, codes.Internal, codes.DataLoss:
		return true
	default:
		return false
	}
}

// Wrap is a client.Wrapper.
func (r *Client) Wrap(c client.Client) client.Client { return &guarded{Client: c, r: r} }

type guarded struct {
	client.Client
	r *Client
}

// Call refuses a call whose circuit is open, or whose service or method has enough. A call that the caller itself gave up counts neither way.
func (c *guarded) Call(ctx context.Context, req client.Request, rsp any, opts ...client.CallOption) error {
	g := c.r.of(req)
	if err := g.enter(); err != nil {
		return err
	}
	if g.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.timeout)
		defer cancel()
	}
	recorded := false
	defer func() {
		if !recorded { // a panic must not keep a probe's permit
			g.leave(true)
		}
	}()
	var err error
	if g.hedge > 0 {
		err = c.hedged(ctx, g, req, rsp, opts)
	} else {
		err = c.Client.Call(ctx, req, rsp, opts...)
	}
	recorded = true
	g.leave(c.r.failed(ctx, err))
	return err
}

// Stream likewise; what happens after it was opened is the caller's, and there is no timeout.
func (c *guarded) Stream(ctx context.Context, req client.Request, opts ...client.CallOption) (client.Stream, error) {
	g := c.r.of(req)
	if err := g.enter(); err != nil {
		return nil, err
	}
	recorded := false
	defer func() {
		if !recorded {
			g.leave(true)
		}
	}()
	s, err := c.Client.Stream(ctx, req, opts...)
	recorded = true
	g.leave(c.r.failed(ctx, err))
	return s, err
}

// failed says whether an error counts. When the caller went away it doesn't: a permit can't be given back without a verdict.
func (r *Client) failed(ctx context.Context, err error) bool {
	return err != nil && r.c.Failed(err) && !errors.Is(ctx.Err(), context.Canceled)
}

// Reset begins the circuits of methods anew, closed and with nothing counted: for when it is known that what they have seen is over. Calls that are
// under way count for those before.
func (r *Client) Reset(of func(service, endpoint string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := maps.Clone(*r.guards.Load())
	for id, old := range next {
		if old.circuit == nil || !of(id.service, id.endpoint) {
			continue
		}
		g := *old
		g.circuit = r.circuit(id, g.settings.Breaker.Value)
		next[id] = &g
	}
	r.guards.Store(&next)
}

// Circuit is the state of one method's circuit.
type Circuit struct {
	Service, Endpoint string
	State             string  // closed, open or half-open
	FailureRate       float64 // of the window, from 0 to 1
}

// Circuits lists every method that was called and has one, in no order.
func (r *Client) Circuits() []Circuit {
	var out []Circuit
	for id, g := range *r.guards.Load() {
		if g.circuit != nil {
			out = append(out, Circuit{id.service, id.endpoint, g.circuit.State().String(), g.circuit.Metrics().FailureRate()})
		}
	}
	return out
}
