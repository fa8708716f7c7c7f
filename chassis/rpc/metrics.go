package rpc

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

type metrics struct {
	on        bool // somebody reads them
	calls     *prometheus.HistogramVec
	retries   *prometheus.CounterVec
	ejections *prometheus.CounterVec
}

// newMetrics makes the client's metrics and registers them with r, if there is one. Two clients may share r.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		on: r != nil,
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rpc_client_call_seconds", Help: "Duration of calls, retries included, by outcome.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"service", "endpoint", "code"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rpc_client_retries_total", Help: "Attempts after the first.",
		}, []string{"service"}),
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rpc_client_ejections_total", Help: "Instances taken out of the choice because their connection failed.",
		}, []string{"service"}),
	}
	if r == nil {
		return m, nil
	}
	var err error
	if m.calls, err = shareable(r, m.calls); err != nil {
		return nil, err
	}
	if m.retries, err = shareable(r, m.retries); err != nil {
		return nil, err
	}
	m.ejections, err = shareable(r, m.ejections)
	return m, err
}

// shareable registers c, or returns the collector that was registered under its name before.
func shareable[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	err := r.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if have, ok := already.ExistingCollector.(C); ok {
			return have, nil
		}
	}
	return c, err
}

func (m *metrics) called(info *methodInfo, req client.Request, err error, d time.Duration) {
	if err == nil && info.ok != nil {
		info.ok.Observe(d.Seconds())
		return
	}
	code := codes.OK.String()
	if err != nil {
		code = problem.From(err).Code.String()
	}
	m.calls.WithLabelValues(req.Service(), req.Endpoint(), code).Observe(d.Seconds())
}

func (m *metrics) retried(service string) { m.retries.WithLabelValues(service).Inc() }
func (m *metrics) ejected(service string) { m.ejections.WithLabelValues(service).Inc() }
