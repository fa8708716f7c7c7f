package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// LogConfig says where lines go. Writer and Levels must be given.
type LogConfig struct {
	Writer io.Writer
	// Format is text or json; default text.
	Format string
	Levels *Levels
	// Ring keeps the last lines in memory; nil for none.
	Ring *LogRing
}

// NewLog makes a logger whose lines have trace_id and span_id when their context has a trace, whose level is its module's, and that shows a
// proto message without the fields that its contract marks with debug_redact.
func NewLog(c LogConfig) (*slog.Logger, error) {
	h := &handler{levels: c.Levels}
	opts := &slog.HandlerOptions{Level: slog.Level(-1 << 20), ReplaceAttr: redacted} // handler.Enabled has decided
	switch c.Format {
	case "", "text":
		h.out = slog.NewTextHandler(c.Writer, opts)
	case "json":
		h.out = slog.NewJSONHandler(c.Writer, opts)
	default:
		return nil, fmt.Errorf("log format %q: want text or json", c.Format)
	}
	if c.Ring != nil {
		h.ring = slog.NewJSONHandler(c.Ring, opts)
	}
	return slog.New(h), nil
}

// NewLogger is NewLog with one level for all, and without a ring.
func NewLogger(w io.Writer, level slog.Level, format string) (*slog.Logger, error) {
	return NewLog(LogConfig{Writer: w, Format: format, Levels: NewLevels(level)})
}

// handler adds the trace, knows its module, and writes to one or two others.
type handler struct {
	levels  *Levels
	module  string
	grouped bool
	out     slog.Handler
	ring    slog.Handler // nil for none
}

var _ slog.Handler = (*handler)(nil)

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.levels.Of(h.module)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	if h.ring != nil {
		if err := h.ring.Handle(ctx, r); err != nil {
			return err
		}
	}
	return h.out.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	for _, a := range attrs {
		if a.Key == ModuleKey && !h.grouped && a.Value.Kind() == slog.KindString {
			next.module = a.Value.String()
		}
	}
	next.out = h.out.WithAttrs(attrs)
	if h.ring != nil {
		next.ring = h.ring.WithAttrs(attrs)
	}
	return &next
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	next.grouped = true
	next.out = h.out.WithGroup(name)
	if h.ring != nil {
		next.ring = h.ring.WithGroup(name)
	}
	return &next
}
