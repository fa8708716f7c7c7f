package resilience

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
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
	// Log gets a line when a circuit changes its state; nil discards.
	Log *slog.Logger
	// Metrics receives resilience_circuit_state, resilience_refused_total; may be nil.
	Metrics prometheus.Registerer
}

// Client makes client.Wrappers that share their circuits and bulkheads. It is safe for concurrent use.
type Client struct {
	c        ClientConfig
	metrics  *metrics
	mu       sync.RWMutex
	circuits map[method]circuitbreaker.CircuitBreaker[any]
	services map[string]chan struct{} // full: as many calls as may run do
}

// method of a service.
type method struct{ service, endpoint string }

// NewClient fails when the metrics can't be registered or a value is out of its range.
func NewClient(c ClientConfig) (*Client, error) {
	c.FailureRate = cmp.Or(c.FailureRate, 0.5)
	c.MinCalls = cmp.Or(c.MinCalls, 20)
	c.Window = cmp.Or(c.Window, 10*time.Second)
	c.OpenFor = cmp.Or(c.OpenFor, 2*time.Second)
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
	return &Client{c: c, metrics: m, circuits: map[method]circuitbreaker.CircuitBreaker[any]{}, services: map[string]chan struct{}{}}, nil
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

// Call refuses a call whose circuit is open, or whose service has enough. A call that the caller itself gave up counts neither way.
func (g *guarded) Call(ctx context.Context, req client.Request, rsp any, opts ...client.CallOption) error {
	return g.r.run(ctx, req, func() error { return g.Client.Call(ctx, req, rsp, opts...) })
}

// Stream likewise; what happens after it was opened is the caller's.
func (g *guarded) Stream(ctx context.Context, req client.Request, opts ...client.CallOption) (s client.Stream, err error) {
	err = g.r.run(ctx, req, func() (err error) {
		s, err = g.Client.Stream(ctx, req, opts...)
		return err
	})
	return s, err
}

func (r *Client) run(ctx context.Context, req client.Request, call func() error) error {
	id := method{req.Service(), req.Endpoint()}
	circuit, room := r.of(id)
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	default:
		r.metrics.refused.WithLabelValues(id.service, ReasonBulkheadFull).Inc()
		return problem.Unavailable(ReasonBulkheadFull, "%s has as many calls as it may", id.service)
	}
	if !circuit.TryAcquirePermit() {
		r.metrics.refused.WithLabelValues(id.service, ReasonCircuitOpen).Inc()
		return problem.Unavailable(ReasonCircuitOpen, "%s has failed too often, and is left alone for a moment", id.service)
	}
	recorded := false
	defer func() {
		if !recorded { // a panic must not keep a probe's permit
			circuit.RecordFailure()
		}
	}()
	err := call()
	recorded = true
	switch {
	case err == nil || !r.c.Failed(err):
		circuit.RecordSuccess()
	case errors.Is(ctx.Err(), context.Canceled):
		circuit.RecordSuccess() // the caller went away: a permit can't be given back without a verdict
	default:
		circuit.RecordFailure()
	}
	return err
}

// of finds or makes what guards a method. Methods are as many as the contracts have.
func (r *Client) of(id method) (circuitbreaker.CircuitBreaker[any], chan struct{}) {
	r.mu.RLock()
	circuit, room := r.circuits[id], r.services[id.service]
	r.mu.RUnlock()
	if circuit != nil {
		return circuit, room
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if circuit = r.circuits[id]; circuit == nil {
		circuit = r.circuit(id)
		r.circuits[id] = circuit
	}
	if room = r.services[id.service]; room == nil {
		room = make(chan struct{}, r.c.MaxCalls)
		r.services[id.service] = room
	}
	return circuit, room
}

func (r *Client) circuit(id method) circuitbreaker.CircuitBreaker[any] {
	state := r.metrics.state.WithLabelValues(id.service, id.endpoint)
	state.Set(float64(circuitbreaker.ClosedState))
	return circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(r.c.FailureRate, r.c.MinCalls, r.c.Window).
		WithSuccessThresholdRatio(r.c.Probes/2+1, r.c.Probes).
		WithDelay(r.c.OpenFor).WithJitterFactor(0.2).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			state.Set(float64(e.NewState))
			r.c.Log.Warn("circuit changed", "service", id.service, "endpoint", id.endpoint, "state", e.NewState.String(), "was", e.OldState.String())
		}).Build()
}

// Circuit is the state of one method's circuit.
type Circuit struct {
	Service, Endpoint string
	State             string  // closed, open or half-open
	FailureRate       float64 // of the window, from 0 to 1
}

// Circuits lists every method that was called, in no order.
func (r *Client) Circuits() []Circuit {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]Circuit, 0, len(r.circuits))
	for id, c := range r.circuits {
		out = append(out, Circuit{id.service, id.endpoint, c.State().String(), c.Metrics().FailureRate()})
	}
	return out
}
