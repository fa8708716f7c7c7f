package host

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// collector shows what the modules of a host have done, those that run now: module_call_seconds and module_calls_failed_total.
type collector struct {
	h             *Host
	calls, failed *prometheus.Desc
}

// collect registers it, unless another host of the process has.
func (h *Host) collect(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	labels := []string{"module", "version"}
	err := r.Register(&collector{
		h:      h,
		calls:  prometheus.NewDesc("module_call_seconds", "Duration of unary calls that a module of this process served, direct ones included.", labels, nil),
		failed: prometheus.NewDesc("module_calls_failed_total", "Calls that failed and the module is to blame for.", labels, nil),
	})
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		return nil
	}
	return err
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.calls
	out <- c.failed
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	for _, r := range c.h.running {
		if r.server == nil {
			continue
		}
		stats := r.server.Stats()
		count, sum, atMost := stats.Histogram()
		out <- prometheus.MustNewConstHistogram(c.calls, count, sum, atMost, r.name, c.h.c.Version)
		out <- prometheus.MustNewConstMetric(c.failed, prometheus.CounterValue, float64(stats.Failed), r.name, c.h.c.Version)
	}
}
