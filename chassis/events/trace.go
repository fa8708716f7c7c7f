package events

import (
	"context"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

type tracerKey struct{}

// Traced says what records the handling of events; nil for nothing. It is an option of Subscribe.
func Traced(t *telemetry.Tracer) broker.SubscribeOption {
	return func(o *broker.SubscribeOptions) {
		if o.Context == nil {
			o.Context = context.Background()
		}
		o.Context = context.WithValue(o.Context, tracerKey{}, t)
	}
}

// tracerIn finds the tracer among options.
func tracerIn(opts []broker.SubscribeOption) *telemetry.Tracer {
	var o broker.SubscribeOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.Context == nil {
		return nil
	}
	t, _ := o.Context.Value(tracerKey{}).(*telemetry.Tracer)
	return t
}

// told ends the span of an event's handling: one that has to wait has not failed.
func told(span *telemetry.Active, err error) {
	if isLater(err) {
		span.DoneWith("WAITS")
		return
	}
	span.Done(err)
}
