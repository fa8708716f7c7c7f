package cli

import (
	"bytes"
	"context"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cleavehq/cleave/api"
)

// The metrics that are read.
const (
	moduleCalls   = "module_call_seconds"
	moduleFailed  = "module_calls_failed_total"
	gatewayCalls  = "gateway_request_seconds"
	circuitStates = "resilience_circuit_state"
	ejections     = "rpc_client_ejections_total"
)

// sample is what a process has counted at one moment.
type sample map[string]*dto.MetricFamily

func (p process) sample(ctx context.Context) (sample, error) {
	b, err := p.page(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(bytes.NewReader(b))
}

// counted are calls: how many, how many of them failed, and how many took at most so many seconds.
type counted struct {
	calls, failed float64
	atMost        map[float64]float64
}

// of counts the calls of a module, or the requests of the gateway.
func (s sample) of(module string) counted {
	out := counted{atMost: map[float64]float64{}}
	name, keep := moduleCalls, func(m *dto.Metric) bool { return label(m, "module") == module }
	if module == api.Name {
		name, keep = gatewayCalls, func(*dto.Metric) bool { return true }
	}
	for _, m := range s[name].GetMetric() {
		if !keep(m) {
			continue
		}
		h := m.GetHistogram()
		out.calls += float64(h.GetSampleCount())
		for _, b := range h.GetBucket() {
			out.atMost[b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
		if module == api.Name && label(m, "status") >= "500" {
			out.failed += float64(h.GetSampleCount())
		}
	}
	for _, m := range s[moduleFailed].GetMetric() {
		if label(m, "module") == module {
			out.failed += m.GetCounter().GetValue()
		}
	}
	return out
}

// minus is what was counted since before. A process that started again in between has counted from the beginning.
func (c counted) minus(before counted) counted {
	if before.calls > c.calls {
		return c
	}
	out := counted{calls: c.calls - before.calls, failed: max(0, c.failed-before.failed), atMost: map[float64]float64{}}
	for le, n := range c.atMost {
		out.atMost[le] = n - before.atMost[le]
	}
	return out
}

// quantile is the bound that a part q of the calls stayed below, in seconds; NaN without calls, and infinite above the last bound.
func (c counted) quantile(q float64) float64 {
	if c.calls == 0 {
		return math.NaN()
	}
	bounds := make([]float64, 0, len(c.atMost))
	for le := range c.atMost {
		bounds = append(bounds, le)
	}
	slices.Sort(bounds)
	for _, le := range bounds {
		if c.atMost[le] >= q*c.calls {
			return le
		}
	}
	return math.Inf(1)
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// open lists the circuits that are not closed: "payment Payment.Capture (open)".
func (s sample) open() []string {
	var out []string
	for _, m := range s[circuitStates].GetMetric() {
		state := map[float64]string{1: "open", 2: "half-open"}[m.GetGauge().GetValue()]
		if state != "" {
			out = append(out, label(m, "service")+" "+label(m, "endpoint")+" ("+state+")")
		}
	}
	slices.Sort(out)
	return out
}

func (s sample) total(name string) float64 {
	sum := 0.0
	for _, m := range s[name].GetMetric() {
		sum += m.GetCounter().GetValue()
	}
	return sum
}
