package telemetry_test

import (
	"context"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

// What one span costs whoever makes it: when nothing is recorded, when it stays in memory, and when it is exported too.
func BenchmarkSpan(b *testing.B) {
	tracer := func(c telemetry.Config) *telemetry.Tracer {
		t, err := telemetry.New(c)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = t.Close(context.Background()) })
		return t
	}
	for name, t := range map[string]*telemetry.Tracer{
		"off": nil, "ring": tracer(telemetry.Config{}), "export": tracer(telemetry.Config{Sample: 1, Export: discard{}}),
	} {
		ctx, span := t.Join(b.Context(), caller, "bench", telemetry.Server)
		b.Cleanup(func() { span.Done(nil) })
		b.Run("leaf/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				telemetry.Begin(ctx).Done("SELECT things", telemetry.Client, "")
			}
		})
		b.Run("start/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, s := telemetry.StartIn(ctx, "step", telemetry.Internal)
				s.Done(nil)
			}
		})
		b.Run("record/"+name, func(b *testing.B) {
			b.ReportAllocs()
			sc, now := telemetry.Span(ctx), time.Now()
			for b.Loop() {
				t.Record(&telemetry.SpanData{Trace: sc.TraceID(), ID: sc.SpanID(), Flags: sc.TraceFlags(), Name: "x", Service: "y", Start: now.UnixNano()})
			}
		})
	}
}

type discard struct{}

func (discard) Export(context.Context, []telemetry.SpanData) error { return nil }
func (discard) Close(context.Context) error                        { return nil }
