package telemetry

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Active is a span that runs. A nil one does nothing. It is safe for concurrent use, and in the context it is OpenTelemetry's current span, so
// that libraries that know OpenTelemetry take theirs for its children.
type Active struct {
	noop.Span
	tracer *Tracer
	start  time.Time

	mu   sync.Mutex
	over bool
	span SpanData
}

var _ trace.Span = (*Active)(nil)

// SpanContext implements trace.Span.
func (a *Active) SpanContext() trace.SpanContext {
	s := &a.span // of which these don't change
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: s.Trace, SpanID: s.ID, TraceFlags: s.Flags})
}

// Tracer is what records it.
func (a *Active) Tracer() *Tracer { return a.tracer }

type tracerKey struct{}

// WithTracer returns ctx with a tracer for what begins a trace of its own there, such as the work that a module does in the background.
func WithTracer(ctx context.Context, t *Tracer) context.Context {
	if t == nil {
		return ctx
	}
	return context.WithValue(ctx, tracerKey{}, t)
}

// TracerOf returns the tracer of ctx's span, or the one that WithTracer gave it; nil when there is none.
func TracerOf(ctx context.Context) *Tracer { return tracerOf(ctx, trace.SpanFromContext(ctx)) }

func tracerOf(ctx context.Context, span trace.Span) *Tracer {
	if s, ok := span.(interface{ Tracer() *Tracer }); ok {
		if t := s.Tracer(); t != nil {
			return t
		}
	}
	t, _ := ctx.Value(tracerKey{}).(*Tracer)
	return t
}

// Start begins a span within ctx's, or a trace when ctx has none. The span is nil, and ctx is returned, when ctx has no tracer. End it with
// Done.
func Start(ctx context.Context, name string, kind Kind) (context.Context, *Active) {
	return start(ctx, time.Time{}, name, kind)
}

func start(ctx context.Context, at time.Time, name string, kind Kind) (context.Context, *Active) {
	span := trace.SpanFromContext(ctx)
	t := tracerOf(ctx, span)
	if t == nil {
		return ctx, nil
	}
	if at.IsZero() {
		at = time.Now()
	}
	return t.begin(ctx, at, span.SpanContext(), name, kind)
}

// StartCall begins the client's span of a call of service, as Start does; at is now.
func StartCall(ctx context.Context, at time.Time, service, name string) (context.Context, *Active) {
	ctx, a := start(ctx, at, name, Client)
	if a != nil {
		a.span.Peer = service // nobody else has it yet
	}
	return ctx, a
}

// StartIn is Start where there is a trace already: without one there is no span.
func StartIn(ctx context.Context, name string, kind Kind) (context.Context, *Active) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, nil
	}
	return Start(ctx, name, kind)
}

// Join begins a span within the caller's trace, which a header tells of, as WithTraceparent does; t may be nil, and then so is the span.
func (t *Tracer) Join(ctx context.Context, header, name string, kind Kind) (context.Context, *Active) {
	if t == nil {
		return WithTraceparent(ctx, header), nil
	}
	return t.begin(ctx, time.Now(), parse(header), name, kind)
}

func (t *Tracer) begin(ctx context.Context, at time.Time, parent trace.SpanContext, name string, kind Kind) (context.Context, *Active) {
	sc := Child(parent)
	s := &spanned{Context: ctx, active: Active{tracer: t, start: at, span: SpanData{
		Trace: sc.TraceID(), ID: sc.SpanID(), Parent: parent.SpanID(), Flags: sc.TraceFlags(), Kind: kind, Name: name, Service: t.service,
	}}}
	return s, &s.active
}

// spanned is a context with a span, and what trace.ContextWithSpan makes of the two, in one allocation.
type spanned struct {
	context.Context
	active Active
}

// Value implements context.Context.
func (s *spanned) Value(key any) any {
	if key == s.active.tracer.key {
		return &s.active
	}
	return s.Context.Value(key)
}

// spanKey is under what OpenTelemetry looks for a context's span. It keeps the key to itself, so it is asked for once.
func spanKey() any {
	a := &asked{Context: context.Background()}
	trace.SpanFromContext(a)
	return a.key
}

// asked remembers the key that it was asked for.
type asked struct {
	context.Context
	key any
}

func (a *asked) Value(key any) any {
	a.key = key
	return nil
}

// Set adds what a span says of itself. Never give it what a user typed, or a secret.
func (a *Active) Set(key, value string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.span.Attrs = append(a.span.Attrs, Attr{key, value})
}

// Rename gives it another name, when it is known better.
func (a *Active) Rename(name string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.span.Name = name
}

// Streamed says that the span lasts as long as somebody likes.
func (a *Active) Streamed() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.span.Stream = true
}

// Link says that the span works for another one, of another trace: one of its own trace is no link. It keeps at most 32.
func (a *Active) Link(header string) {
	sc := parse(header)
	if a == nil || !sc.IsValid() || sc.TraceID() == a.span.Trace {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.span.Links) < maxLinks {
		a.span.Links = append(a.span.Links, sc)
	}
}

const maxLinks = 32

// Done ends it: err is what went wrong, nil for nothing. A second Done does nothing.
func (a *Active) Done(err error) { a.done(time.Time{}, codeOf(err)) }

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return problem.From(err).Code.String()
}

// DoneWith is Done with a code instead of an error, "" when all went well.
func (a *Active) DoneWith(code string) { a.done(time.Time{}, code) }

// DoneAt is Done at a time that is now.
func (a *Active) DoneAt(end time.Time, err error) { a.done(end, codeOf(err)) }

func (a *Active) done(end time.Time, code string) {
	if a == nil {
		return
	}
	if end.IsZero() {
		end = time.Now()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.over = true
	a.span.Start, a.span.Took, a.span.Code = a.start.UnixNano(), end.Sub(a.start), code
	a.tracer.Record(&a.span)
}

// parse reads a traceparent; the result is invalid when it is none.
func parse(header string) trace.SpanContext {
	if header == "" {
		return trace.SpanContext{}
	}
	in := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{Header: header})
	return trace.SpanContextFromContext(in)
}
