package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestTraceGoesThroughTheWire(t *testing.T) {
	ctx := telemetry.WithTraceparent(context.Background(), caller)
	if got, want := telemetry.TraceID(ctx), "4bf92f3577b34da6a3ce929d0e0e4736"; got != want {
		t.Fatalf("trace id %q, want %q", got, want)
	}
	out := telemetry.Traceparent(ctx)
	if !strings.HasPrefix(out, caller[:36]) || out == caller {
		t.Errorf("traceparent %q: want the caller's trace with a span of ours", out)
	}
	if again := telemetry.Ensure(ctx); telemetry.Traceparent(again) != out {
		t.Errorf("Ensure changed a trace that was there")
	}
}

func TestBadTraceparentStartsANewTrace(t *testing.T) {
	for _, bad := range []string{"", "x", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", caller[:40], strings.Repeat("0", 9000)} {
		ctx := telemetry.WithTraceparent(context.Background(), bad)
		if id := telemetry.TraceID(ctx); len(id) != 32 {
			t.Errorf("header %.20q: trace id %q", bad, id)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(caller)
	f.Add("00--")
	f.Fuzz(func(t *testing.T, header string) {
		if id := telemetry.TraceID(telemetry.WithTraceparent(context.Background(), header)); len(id) != 32 {
			t.Fatalf("header %q: trace id %q", header, id)
		}
	})
}

func TestLogHasTheTrace(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log, err := telemetry.NewLogger(&out, slog.LevelInfo, format)
		if err != nil {
			t.Fatal(err)
		}
		log.With("module", "catalog").WithGroup("g").InfoContext(telemetry.WithTraceparent(context.Background(), caller), "hello")
		if !strings.Contains(out.String(), "4bf92f3577b34da6a3ce929d0e0e4736") {
			t.Errorf("%s: no trace id in %s", format, out.String())
		}
	}
	if _, err := telemetry.NewLogger(&bytes.Buffer{}, slog.LevelInfo, "xml"); err == nil {
		t.Error("a format that isn't there was taken")
	}
}

func Example() {
	ctx := telemetry.WithTraceparent(context.Background(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	fmt.Println(telemetry.TraceID(ctx))
	// Output: 4bf92f3577b34da6a3ce929d0e0e4736
}
