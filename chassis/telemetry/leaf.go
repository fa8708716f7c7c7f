package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Leaf is a span that has none within it, such as a statement: it costs no context. The zero Leaf records nothing.
type Leaf struct {
	tracer *Tracer
	parent trace.SpanContext
	start  time.Time
}

// Begin begins one within ctx's span; it records nothing when ctx has none, or no tracer.
func Begin(ctx context.Context) Leaf {
	span := trace.SpanFromContext(ctx)
	parent := span.SpanContext()
	if !parent.IsValid() {
		return Leaf{}
	}
	if s, ok := span.(interface{ Tracer() *Tracer }); ok {
		if t := s.Tracer(); t != nil {
			return Leaf{t, parent, time.Now()}
		}
	}
	return Leaf{}
}

// On says whether it records anything.
func (l Leaf) On() bool { return l.tracer != nil }

// Done ends it. code is empty when all went well.
func (l Leaf) Done(name string, kind Kind, code string, attrs ...Attr) {
	if l.tracer == nil {
		return
	}
	sc := Child(l.parent)
	l.tracer.Record(&SpanData{
		Trace: sc.TraceID(), ID: sc.SpanID(), Parent: l.parent.SpanID(), Flags: sc.TraceFlags(), Kind: kind, Name: name, Code: code,
		Start: l.start.UnixNano(), Took: time.Since(l.start), Attrs: attrs,
	})
}
