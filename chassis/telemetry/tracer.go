package telemetry

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Defaults of Config.
const (
	DefaultRecent = 8192
	DefaultKept   = 2048
	DefaultSlow   = 500 * time.Millisecond
	DefaultSample = 0.1
)

// Config says what a Tracer keeps.
type Config struct {
	// Host names this process.
	Host string
	// Recent is how many of the last spans are kept in memory, some 90 bytes each; default 8,192. Kept is how many there are at most
	// beside them of traces in which something failed or was slow, which are not pushed out by those in which nothing was, some 170 bytes each;
	// default 2,048.
	Recent, Kept int
	// Slow is how long a span takes that is kept for it; default 500 ms.
	Slow time.Duration
	// Sample is the part of all traces that is exported, 0 to 1. A trace in which something failed or was slow in this process is exported in any
	// case, as far as this process knows it.
	Sample float64
	// Export is where spans go; nil for nowhere.
	Export Exporter
	// Log hears of exports that fail; may be nil.
	Log *slog.Logger
	// Metrics receives telemetry_*; may be nil.
	Metrics prometheus.Registerer
}

// Exporter sends spans away. Package otlp has one.
type Exporter interface {
	// Export sends the spans, and may try again until ctx ends. It must not keep the slice.
	Export(ctx context.Context, spans []SpanData) error
	// Close ends it; what was exported is out.
	Close(ctx context.Context) error
}

// Tracer records spans. A nil one records nothing; it is safe for concurrent use. Close it.
type Tracer struct {
	*recorder
	service string
}

// recorder is what the tracers of one process share.
type recorder struct {
	c     Config
	ring  ring
	key   any    // of a context's span
	below uint64 // a trace is exported whose id is below this
	out   *batcher
}

// New makes a tracer for the process itself; For makes those of its modules.
func New(c Config) (*Tracer, error) {
	if math.IsNaN(c.Sample) || c.Sample < 0 || c.Sample > 1 {
		return nil, fmt.Errorf("telemetry: Sample is %v, not 0 to 1", c.Sample)
	}
	c.Recent, c.Kept, c.Slow = cmp.Or(c.Recent, DefaultRecent), cmp.Or(c.Kept, DefaultKept), cmp.Or(c.Slow, DefaultSlow)
	if c.Recent < 0 || c.Kept < 0 || c.Slow < 0 {
		return nil, fmt.Errorf("telemetry: Recent, Kept or Slow is negative")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &recorder{c: c, key: spanKey(), below: uint64(c.Sample * (1 << 63))}
	if r.key == nil {
		return nil, errors.New("telemetry: OpenTelemetry looks for the span of a context in another way than it used to")
	}
	r.ring.init(c.Recent, c.Kept)
	if c.Export != nil {
		r.out = newBatcher(c.Export, c.Log)
	}
	if err := r.register(c.Metrics); err != nil {
		return nil, err
	}
	return &Tracer{recorder: r, service: c.Host}, nil
}

// For is the tracer of a part of the process: its spans say service. Of nil it is nil.
func (t *Tracer) For(service string) *Tracer {
	if t == nil {
		return nil
	}
	return &Tracer{recorder: t.recorder, service: service}
}

// Close sends what is to be exported, until ctx ends. Spans that end later are recorded and not exported.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil || t.out == nil {
		return nil
	}
	return t.out.close(ctx)
}

// Record keeps a span, and exports it when its trace is. Of a nil tracer it does nothing. s is copied.
func (t *Tracer) Record(s *SpanData) {
	if t == nil || !s.Trace.IsValid() {
		return
	}
	if s.Service == "" {
		s.Service = t.service
	}
	notable := s.Failed() || s.Took >= t.c.Slow && !s.Stream
	sampled := t.out != nil && t.Samples(s.Trace, s.Flags)
	if late := t.ring.add(s, notable, sampled || t.out == nil); late != nil {
		t.out.put(late...)
	}
	if sampled {
		t.out.put(*s)
	}
}

// Samples says whether a trace is exported whatever happens in it: who began it doesn't mind, and its id is among the part that is. Every
// process with the same part says the same (the rule of OpenTelemetry's TraceIDRatioBased,
// https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased).
func (t *Tracer) Samples(id trace.TraceID, flags trace.TraceFlags) bool {
	return flags.IsSampled() && binary.BigEndian.Uint64(id[8:16])>>1 < t.below
}

// register adds the metrics of the tracer itself.
func (r *recorder) register(to prometheus.Registerer) error {
	if to == nil {
		return nil
	}
	counter := func(name, help string, of func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, of)
	}
	all := []prometheus.Collector{
		counter("telemetry_spans_total", "Spans that were recorded.", func() float64 { return float64(r.ring.total()) }),
	}
	if r.out != nil {
		all = append(all,
			counter("telemetry_spans_exported_total", "Spans that the collector has taken.", func() float64 { return float64(r.out.sent.Load()) }),
			counter("telemetry_spans_dropped_total", "Spans that were to be exported and were not: there were too many, or the collector was away.",
				func() float64 { return float64(r.out.dropped.Load()) }))
	}
	for _, c := range all {
		if err := to.Register(c); err != nil {
			return fmt.Errorf("telemetry: register metrics: %w", err)
		}
	}
	return nil
}
