package api

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests  *prometheus.HistogramVec
	inFlight  prometheus.Gauge
	routes    prometheus.Gauge
	fetches   *prometheus.CounterVec
	conflicts prometheus.Counter
	refused   *prometheus.CounterVec
	panics    prometheus.Counter
	misfits   *prometheus.CounterVec
	unlogged  prometheus.Counter
	exemplar  atomic.Int64 // when the next one is taken, in nanoseconds since 1970
	rated     *prometheus.CounterVec
	cached    *prometheus.CounterVec
	refreshed *prometheus.CounterVec
	mirrored  *prometheus.CounterVec
}

// exemplarEvery is how often a request's trace is kept as an exemplar.
const exemplarEvery = 100 * time.Millisecond

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_request_seconds", Help: "Duration of requests, by the template of their route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gateway_requests_in_flight", Help: "Requests being served."}),
		routes:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "gateway_routes", Help: "Routes that are known."}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_contract_fetches_total", Help: "Contracts asked for by reflection.",
		}, []string{"result"}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_route_conflicts_total", Help: "Routes left out because another service has the same.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_refused_total", Help: "Requests answered with an error, by its reason.",
		}, []string{"reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "gateway_panics_total", Help: "Requests that met a bug of the gateway."}),
		misfits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_documents_refused_total", Help: "Overrides and API keys that were wrong, so that the last good ones stay.",
		}, []string{"kind"}),
		unlogged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_access_log_dropped_total", Help: "Lines of the access log that didn't fit, because who takes them is too slow.",
		}),
		rated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_rate_limited_total", Help: "Requests over a rate, by the method.",
		}, []string{"method"}),
		cached: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_cache_total", Help: "Answers of methods whose answers are kept, by how they came: hit, stale, miss, collapsed, forced.",
		}, []string{"how"}),
		refreshed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_cache_refreshes_total", Help: "Answers asked for anew in the background.",
		}, []string{"result"}),
		mirrored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_mirrored_total", Help: "Copies of calls, by what became of them: ok, failed, dropped.",
		}, []string{"service", "result"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.inFlight, m.routes, m.fetches, m.conflicts, m.refused, m.panics, m.misfits, m.unlogged, m.rated, m.cached, m.refreshed, m.mirrored} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// done counts a request. Its trace is the exemplar of those like it, if it is the first of them in a second.
func (m *metrics) done(method, route string, status int, end time.Time, d time.Duration, trace func() string) {
	o := m.requests.WithLabelValues(known(method), route, digits(status))
	now, next := end.UnixNano(), m.exemplar.Load()
	e, ok := o.(prometheus.ExemplarObserver)
	if !ok || now < next || !m.exemplar.CompareAndSwap(next, now+int64(exemplarEvery)) {
		o.Observe(d.Seconds())
		return
	}
	e.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": trace()})
}

// digits of a status.
func digits(status int) string {
	if status == http.StatusOK { // most
		return "200"
	}
	return strconv.Itoa(status)
}

// known keeps what clients make up out of the labels.
func known(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}
