package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// Header is the name of the metadata key, in HTTP, gRPC and events.
const Header = "traceparent"

// Ensure returns ctx with a trace in it: the one it has, or a new one.
func Ensure(ctx context.Context) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return trace.ContextWithSpanContext(ctx, newSpan(trace.TraceID{}, trace.FlagsSampled))
}

// WithTraceparent returns ctx in the caller's trace, with a span of its own. A header that isn't a traceparent starts a new trace.
func WithTraceparent(ctx context.Context, header string) context.Context {
	return trace.ContextWithSpanContext(ctx, Child(parse(header)))
}

// Traceparent returns the header that continues ctx's trace, or "" when ctx has none.
func Traceparent(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return ""
	}
	b := append(make([]byte, 0, len("00-")+2*len(trace.TraceID{})+len("-")+2*len(trace.SpanID{})+len("-00")), "00-"...)
	id, span := sc.TraceID(), sc.SpanID()
	b = append(hex.AppendEncode(b, id[:]), '-')
	b = append(hex.AppendEncode(b, span[:]), '-')
	return string(hex.AppendEncode(b, []byte{byte(sc.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom))})) // those that the standard has
}

// TraceID returns the 32 hexadecimal digits of ctx's trace, or "" when ctx has none.
func TraceID(ctx context.Context) string {
	s := trace.SpanContextFromContext(ctx)
	if !s.IsValid() {
		return ""
	}
	return s.TraceID().String()
}

// Span returns ctx's span, or a new one of a new trace when it has none.
func Span(ctx context.Context) trace.SpanContext {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return sc
	}
	return newSpan(trace.TraceID{}, trace.FlagsSampled)
}

// Child returns a span of the same trace; of a new one when parent is none.
func Child(parent trace.SpanContext) trace.SpanContext {
	if !parent.IsValid() {
		return newSpan(trace.TraceID{}, trace.FlagsSampled)
	}
	return newSpan(parent.TraceID(), parent.TraceFlags())
}

// newSpan makes ids that are unlikely to be met twice. They are no secret: a fast generator will do.
func newSpan(id trace.TraceID, flags trace.TraceFlags) trace.SpanContext {
	var span trace.SpanID
	binary.LittleEndian.PutUint64(span[:], rand.Uint64()|1) //nolint:gosec // no secret; never zero
	if !id.IsValid() {
		binary.LittleEndian.PutUint64(id[:8], rand.Uint64()|1) //nolint:gosec // no secret; never zero
		binary.LittleEndian.PutUint64(id[8:], rand.Uint64())   //nolint:gosec // no secret
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags})
}
