package rpc

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

// exemplarEvery is how often a method's histogram takes an exemplar of calls that went well: one costs as much as ten observations.
const exemplarEvery = time.Second

// red counts the calls that a server has had: rate, errors, duration.
type red struct {
	calls *prometheus.HistogramVec

	mu sync.Mutex
	of atomic.Pointer[map[outcomeKey]*outcomes]
}

type outcomeKey struct{ service, endpoint, code string }

// outcomes are the calls of one method that came out alike.
type outcomes struct {
	durations prometheus.Observer
	next      atomic.Int64 // when the next exemplar is taken, in nanoseconds since 1970
}

// newRED registers with r; it is nil when r is.
func newRED(r prometheus.Registerer) (*red, error) {
	if r == nil {
		return nil, nil //nolint:nilnil // nobody reads it
	}
	calls, err := shareable(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rpc_server_call_seconds", Help: "Duration of the calls that a service has had, by outcome; exemplars have their trace_id.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"service", "endpoint", "code"}))
	if err != nil {
		return nil, err
	}
	m := &red{calls: calls}
	m.of.Store(&map[outcomeKey]*outcomes{})
	return m, nil
}

// observe counts a call; code is empty when it went well.
func (m *red) observe(service, endpoint, code string, end time.Time, took time.Duration, span trace.SpanContext) {
	if m == nil {
		return
	}
	key := outcomeKey{service, endpoint, code}
	o := (*m.of.Load())[key]
	if o == nil {
		o = m.add(key)
	}
	now, next := end.UnixNano(), o.next.Load()
	if now < next || !o.next.CompareAndSwap(next, now+int64(exemplarEvery)) {
		o.durations.Observe(took.Seconds())
		return
	}
	if e, ok := o.durations.(prometheus.ExemplarObserver); ok {
		e.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": span.TraceID().String(), "span_id": span.SpanID().String()})
	}
}

func (m *red) add(key outcomeKey) *outcomes {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := *m.of.Load()
	if o := now[key]; o != nil {
		return o
	}
	code := key.code
	if code == "" {
		code = codes.OK.String()
	}
	o := &outcomes{durations: m.calls.WithLabelValues(key.service, key.endpoint, code)}
	next := maps.Clone(now)
	next[key] = o
	m.of.Store(&next)
	return o
}
