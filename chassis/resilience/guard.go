package resilience

import (
	"maps"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cleavehq/cleave/chassis/problem"
)

// guard is what stands before the calls of one method.
type guard struct {
	r        *Client
	id       method
	by       *overrides                    // of which it was made
	md       protoreflect.MethodDescriptor // nil when its contract isn't known
	settings Settings
	circuit  circuitbreaker.CircuitBreaker[any] // nil for none
	room     chan struct{}                      // of the service
	most     int64                              // of the method; 0 for as many as of the service
	running  *atomic.Int64
	timeout  time.Duration
	hedge    time.Duration
}

// enter says why a call is not sent, or nil; then leave must be called.
func (g *guard) enter() error {
	select {
	case g.room <- struct{}{}:
	default:
		return g.refused(ReasonBulkheadFull, "%s has as many calls as it may", g.id.service)
	}
	if n := g.running.Add(1); g.most > 0 && n > g.most {
		g.out()
		return g.refused(ReasonBulkheadFull, "%s of %s has as many calls as it may", g.id.endpoint, g.id.service)
	}
	if g.circuit != nil && !g.circuit.TryAcquirePermit() {
		g.out()
		return g.refused(ReasonCircuitOpen, "%s has failed too often, and is left alone for a moment", g.id.service)
	}
	return nil
}

func (g *guard) refused(reason, format string, args ...any) error {
	g.r.metrics.refused.WithLabelValues(g.id.service, reason).Inc()
	return problem.Unavailable(reason, format, args...)
}

func (g *guard) out() {
	g.running.Add(-1)
	<-g.room
}

// leave ends a call that failed or didn't.
func (g *guard) leave(failed bool) {
	g.out()
	switch {
	case g.circuit == nil:
	case failed:
		g.circuit.RecordFailure()
	default:
		g.circuit.RecordSuccess()
	}
}

// of finds or makes the guard of a method. Methods are as many as the contracts have.
func (r *Client) of(req client.Request) *guard {
	id := method{req.Service(), req.Endpoint()}
	if g := (*r.guards.Load())[id]; g != nil && g.by == r.c.Rules.version() {
		return g
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := *r.guards.Load()
	by := r.c.Rules.version()
	old := before[id]
	if old != nil && old.by == by {
		return old
	}
	g := r.guard(id, req, by, old)
	next := maps.Clone(before)
	next[id] = g
	r.guards.Store(&next)
	return g
}

// guard makes one, with r.mu held. What old has counted goes on, as far as it is still asked for.
func (r *Client) guard(id method, req client.Request, by *overrides, old *guard) *guard {
	g := &guard{r: r, id: id, by: by, settings: bare(id.service+"/"+id.endpoint, r.breaker())}
	if g.md = described(req); g.md == nil && old != nil {
		g.md = old.md
	}
	if g.md != nil {
		s, err := settingsOf(by, g.md, r.breaker())
		if err != nil {
			r.c.Log.Warn("a contract's resilience is wrong, and isn't taken", "error", err)
		}
		g.settings = s
	}
	s := g.settings
	g.timeout, g.hedge, g.most = time.Duration(s.Timeout.Value), time.Duration(s.HedgeAfter.Value), int64(s.Bulkhead.Value)
	if g.room = r.services[id.service]; g.room == nil {
		g.room = make(chan struct{}, r.c.MaxCalls)
		r.services[id.service] = g.room
	}
	if g.running = new(atomic.Int64); old != nil {
		g.running = old.running
	}
	switch {
	case s.Breaker.Value.Off:
	case old != nil && old.circuit != nil && old.settings.Breaker.Value == s.Breaker.Value:
		g.circuit = old.circuit
	default:
		g.circuit = r.circuit(id, s.Breaker.Value)
	}
	return g
}

// breaker is what ClientConfig says of all methods.
func (r *Client) breaker() Breaker {
	return Breaker{
		FailurePercent: int(math.Round(r.c.FailureRate * 100)), MinCalls: int(r.c.MinCalls),
		Window: Duration(r.c.Window), OpenFor: Duration(r.c.OpenFor),
	}
}

func (r *Client) circuit(id method, b Breaker) circuitbreaker.CircuitBreaker[any] {
	state := r.metrics.state.WithLabelValues(id.service, id.endpoint)
	state.Set(float64(circuitbreaker.ClosedState))
	var own circuitbreaker.CircuitBreaker[any]
	own = circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(max(float64(b.FailurePercent)/100, 0.01), uint(b.MinCalls), time.Duration(b.Window)).
		WithSuccessThresholdRatio(r.c.Probes/2+1, r.c.Probes).
		WithDelay(time.Duration(b.OpenFor)).WithJitterFactor(0.2).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			if now := (*r.guards.Load())[id]; now != nil && now.circuit != own { // that of calls that are still under way
				return
			}
			state.Set(float64(e.NewState))
			r.c.Log.Warn("circuit changed", "service", id.service, "endpoint", id.endpoint, "state", e.NewState.String(), "was", e.OldState.String())
		}).Build()
	return own
}

// described finds the method that a request calls in the contract of its message; nil when there is none.
func described(req client.Request) protoreflect.MethodDescriptor {
	m, ok := req.Body().(proto.Message)
	if !ok {
		return nil
	}
	service, name, ok := strings.Cut(req.Endpoint(), ".")
	if !ok || !protoreflect.Name(service).IsValid() {
		return nil
	}
	file := m.ProtoReflect().Descriptor().ParentFile()
	sd := file.Services().ByName(protoreflect.Name(service))
	if sd == nil { // in another file of its package, that this program knows
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(file.Package().Append(protoreflect.Name(service)))
		if err != nil {
			return nil
		}
		if sd, ok = d.(protoreflect.ServiceDescriptor); !ok {
			return nil
		}
	}
	return sd.Methods().ByName(protoreflect.Name(name))
}
