package callctx

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

// Tracer is what records what is done within the span; nil for nothing.
func (s *Span) Tracer() *telemetry.Tracer { return s.tracer }

// Spans are the call's own and the caller's, which is invalid when there is none. They are for whoever records a call that is over: a span that
// nobody has asked for is made here, and not kept.
func (c *Context) Spans() (own, caller trace.SpanContext) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from != nil {
		caller = c.from.SpanContext()
	}
	if c.own != nil {
		return c.own.Is, caller
	}
	return telemetry.Child(caller), caller
}
