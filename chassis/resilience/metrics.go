package resilience

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	state   *prometheus.GaugeVec
	refused *prometheus.CounterVec
	limit   *prometheus.GaugeVec
	running *prometheus.GaugeVec
	queued  *prometheus.GaugeVec
	hedges  *prometheus.CounterVec
}

// newMetrics makes the metrics and registers them with r, if there is one. Several wrappers may share r.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		state: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "resilience_circuit_state", Help: "Of a method's circuit: 0 closed, 1 open, 2 half-open.",
		}, []string{"service", "endpoint"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "resilience_refused_total", Help: "Calls that were refused, by the reason.",
		}, []string{"service", "reason"}),
		limit: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "resilience_limit", Help: "How many calls a service runs at the same time at most, as it has learned.",
		}, []string{"service"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "resilience_running", Help: "Calls that run.",
		}, []string{"service"}),
		queued: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "resilience_queued", Help: "Calls that wait for their turn.",
		}, []string{"service"}),
		hedges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "resilience_hedges_total", Help: "Second calls of a method that is hedged: sent, won, or refused by the retry budget or for lack of an instance.",
		}, []string{"service", "outcome"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []struct {
		is  prometheus.Collector
		set func(prometheus.Collector) bool
	}{
		{m.state, func(c prometheus.Collector) (ok bool) { m.state, ok = c.(*prometheus.GaugeVec); return ok }},
		{m.refused, func(c prometheus.Collector) (ok bool) { m.refused, ok = c.(*prometheus.CounterVec); return ok }},
		{m.limit, func(c prometheus.Collector) (ok bool) { m.limit, ok = c.(*prometheus.GaugeVec); return ok }},
		{m.running, func(c prometheus.Collector) (ok bool) { m.running, ok = c.(*prometheus.GaugeVec); return ok }},
		{m.hedges, func(c prometheus.Collector) (ok bool) { m.hedges, ok = c.(*prometheus.CounterVec); return ok }},
		{m.queued, func(c prometheus.Collector) (ok bool) { m.queued, ok = c.(*prometheus.GaugeVec); return ok }},
	} {
		err := r.Register(c.is)
		var already prometheus.AlreadyRegisteredError
		if errors.As(err, &already) && c.set(already.ExistingCollector) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("resilience: register metrics: %w", err)
		}
	}
	return m, nil
}
