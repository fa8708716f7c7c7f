package outbox

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what outboxes and inboxes of a process do. Several modules may share one.
type Metrics struct {
	pending, oldest                         *prometheus.GaugeVec   // by module
	published, republished, failed, expired *prometheus.CounterVec // by module
	applied, duplicates, waits, gaps, dead  *prometheus.CounterVec // by consumer
}

// NewMetrics registers the metrics with r, if there is one. Called twice with the same r, it returns the same ones.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"module"})
	}
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &Metrics{
		pending:     gauge("outbox_pending", "Events that the broker has not acknowledged yet."),
		oldest:      gauge("outbox_oldest_seconds", "Age of the oldest of them."),
		published:   counter("outbox_published_total", "Events that the broker acknowledged.", "module"),
		republished: counter("outbox_republished_total", "Events that the broker had acknowledged and lost.", "module"),
		failed:      counter("outbox_failed_total", "Publications that failed.", "module"),
		expired:     counter("outbox_expired_total", "Events forgotten although a group never was done with them.", "module"),
		applied:     counter("inbox_applied_total", "Events that were applied.", "consumer"),
		duplicates:  counter("inbox_duplicates_total", "Events that came again after they were applied.", "consumer"),
		waits:       counter("inbox_waits_total", "Times an event was handed back because an earlier one was missing.", "consumer"),
		gaps:        counter("inbox_out_of_order_total", "Earlier events that a consumer went on without.", "consumer"),
		dead:        counter("inbox_dead_total", "Events that became dead letters.", "consumer"),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, g := range []**prometheus.GaugeVec{&m.pending, &m.oldest} {
		errs = append(errs, share(r, g))
	}
	for _, c := range []**prometheus.CounterVec{
		&m.published, &m.republished, &m.failed, &m.expired, &m.applied, &m.duplicates, &m.waits, &m.gaps, &m.dead,
	} {
		errs = append(errs, share(r, c))
	}
	return m, errors.Join(errs...)
}

// share registers *c, or makes it the collector that was registered under its name before.
func share[C prometheus.Collector](r prometheus.Registerer, c *C) error {
	err := r.Register(*c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if have, ok := already.ExistingCollector.(C); ok {
			*c = have
			return nil
		}
	}
	return err
}
