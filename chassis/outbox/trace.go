package outbox

import (
	"context"
	"strconv"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

// traced begins the span of one event's publication, in the trace of what appended it, and returns the header by which consumers go on with it.
func (r *Relay) traced(ctx context.Context, x row) (_ context.Context, header string, done func(error)) {
	if r.c.Tracer == nil {
		return ctx, x.trace, func(error) {}
	}
	ctx, span := r.c.Tracer.Join(ctx, x.trace, "publish "+x.topic, telemetry.Producer)
	if x.tries > 0 {
		span.Set("outbox.tries", strconv.FormatInt(x.tries, 10))
	}
	return ctx, telemetry.Traceparent(ctx), span.Done
}

// batched begins the span of a round that publishes many events. It is in a trace of its own, with links to theirs.
func (r *Relay) batched(ctx context.Context, batch []row) (_ context.Context, done func(error)) {
	if r.c.Tracer == nil || len(batch) < 2 {
		return ctx, func(error) {}
	}
	ctx, span := r.c.Tracer.Join(ctx, "", "relay a batch", telemetry.Internal)
	span.Set("outbox.events", strconv.Itoa(len(batch)))
	for _, x := range batch {
		span.Link(x.trace)
	}
	return ctx, span.Done
}
