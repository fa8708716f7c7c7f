package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

func newTracer(t testing.TB, c telemetry.Config) *telemetry.Tracer {
	t.Helper()
	tr, err := telemetry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestSpansAreWithinEachOther(t *testing.T) {
	tr := newTracer(t, telemetry.Config{Host: "here"})
	ctx, top := tr.For("order").Join(t.Context(), caller, "top", telemetry.Server)
	inner, child := telemetry.Start(ctx, "child", telemetry.Internal)
	telemetry.Begin(inner).Done("SELECT orders", telemetry.Client, "SQLSTATE 40001", telemetry.Attr{Key: "k", Value: "v"})
	child.Done(nil)
	top.Done(errors.New("it broke"))
	top.Done(nil) // does nothing
	got := tr.Spans(trace.SpanContextFromContext(ctx).TraceID())
	by := map[string]telemetry.SpanJSON{}
	for _, s := range got {
		by[s.Name] = s
	}
	if len(got) != 3 || by["top"].Parent != "00f067aa0ba902b7" || by["child"].Parent != by["top"].ID || by["SELECT orders"].Parent != by["child"].ID {
		t.Errorf("got %+v", got)
	}
	if s := by["SELECT orders"]; s.Service != "order" || s.Host != "here" || s.Failed || s.Attrs["k"] != "v" || by["top"].Code != "Internal" || !by["top"].Failed {
		t.Errorf("got %+v and %+v", s, by["top"])
	}
}

func TestNothingIsRecordedWithoutATracer(t *testing.T) {
	var none *telemetry.Tracer
	ctx, span := none.Join(t.Context(), caller, "x", telemetry.Server)
	if span != nil || telemetry.TraceID(ctx) == "" || telemetry.TracerOf(ctx) != nil || telemetry.Begin(ctx).On() {
		t.Errorf("a nil tracer records: %v", span)
	}
	span.Set("a", "b")
	span.Done(nil)
	none.For("y").Record(&telemetry.SpanData{})
	if err := none.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// collected is an exporter that remembers.
type collected struct {
	mu    sync.Mutex
	spans []telemetry.SpanData
}

func (c *collected) Export(_ context.Context, spans []telemetry.SpanData) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, spans...)
	return nil
}

func (c *collected) Close(context.Context) error { return nil }

// A trace that isn't sampled is exported all the same once something fails in it, with what came before and with what comes after; and it
// stays in memory, however many others follow.
func TestFailuresAreKept(t *testing.T) {
	out := &collected{}
	tr := newTracer(t, telemetry.Config{Recent: 64, Kept: 64, Export: out})
	ctx, top := tr.Join(t.Context(), caller, "top", telemetry.Server)
	_, before := telemetry.Start(ctx, "before", telemetry.Internal)
	before.Done(nil)
	_, bad := telemetry.Start(ctx, "bad", telemetry.Client)
	bad.DoneWith("Unavailable")
	top.Done(nil)
	for range 1000 {
		_, s := tr.Join(t.Context(), "", "other", telemetry.Server)
		s.Done(nil)
	}
	if got := tr.Spans(trace.SpanContextFromContext(ctx).TraceID()); len(got) != 3 {
		t.Errorf("%d spans are kept, want 3: %+v", len(got), got)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range out.spans {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "before bad top" {
		t.Errorf("exported %q", got)
	}
}

// Whatever a span says comes back as it was, also when there are more names than a shard has words for.
func TestSpansComeBackWhole(t *testing.T) {
	const n = 5000 // names and peers, more than there are words
	tr := newTracer(t, telemetry.Config{})
	for i := range n {
		name := fmt.Sprintf("name %d", i)
		ctx, s := tr.Join(t.Context(), "", name, telemetry.Consumer)
		s.Set("number", fmt.Sprint(i))
		s.Link(caller)
		s.DoneWith("NotFound")
		_, c := telemetry.StartCall(ctx, time.Now(), "peer of "+name, "call")
		c.Done(nil)
		if i%16 > 0 {
			continue
		}
		got := tr.Spans(trace.SpanContextFromContext(ctx).TraceID())
		if len(got) != 2 {
			t.Fatalf("%d spans: %+v", len(got), got)
		}
		if s := got[0]; s.Name != name || s.Code != "NotFound" || s.Kind != "consumer" || s.Attrs["number"] != fmt.Sprint(i) || len(s.Links) != 1 {
			t.Fatalf("it was %+v", s)
		}
		if c := got[1]; c.Name != "call" || c.Attrs["peer.service"] != "peer of "+name || c.Parent != got[0].ID || len(c.Links) != 0 || c.Nanos < 0 {
			t.Fatalf("the call was %+v", c)
		}
	}
}

// The context of a span is one to package context and to OpenTelemetry.
func TestTheContextOfASpan(t *testing.T) {
	type key struct{}
	tr := newTracer(t, telemetry.Config{})
	parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "mine"))
	ctx, s := tr.Join(parent, caller, "top", telemetry.Server)
	child, stop := context.WithCancel(ctx)
	defer stop()
	if trace.SpanFromContext(child) != trace.Span(s) || child.Value(key{}) != "mine" || s.SpanContext().TraceID().String() != caller[3:35] {
		t.Errorf("%v, %v", trace.SpanFromContext(child), child.Value(key{}))
	}
	why := errors.New("why")
	cancel(why)
	if <-child.Done(); !errors.Is(context.Cause(child), why) {
		t.Errorf("it ended for %v", context.Cause(child))
	}
}

func TestAPartOfTheTracesIsExported(t *testing.T) {
	const n = 4000
	out := &collected{}
	tr := newTracer(t, telemetry.Config{Sample: 0.25, Export: out})
	for range n {
		ctx, s := tr.Join(t.Context(), "", "x", telemetry.Server)
		_, c := telemetry.Start(ctx, "y", telemetry.Internal)
		c.Done(nil)
		s.Done(nil)
	}
	_, unwanted := tr.Join(t.Context(), caller[:53]+"00", "unwanted", telemetry.Server)
	unwanted.Done(nil)
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole := map[trace.TraceID]int{}
	for _, s := range out.spans {
		whole[s.Trace]++
		if s.Name == "unwanted" {
			t.Error("a trace was exported that its caller did not want to be")
		}
	}
	for id, k := range whole {
		if k != 2 {
			t.Errorf("%d spans of trace %s, want both", k, id)
		}
	}
	if len(whole) < n/5 || len(whole) > n*3/10 {
		t.Errorf("%d of %d traces were exported, want about a quarter", len(whole), n)
	}
}

func TestPagesOfTraces(t *testing.T) {
	tr := newTracer(t, telemetry.Config{})
	ctx, s := tr.For("order").Join(t.Context(), caller, "Order.CreateOrder", telemetry.Server)
	s.Done(nil)
	mux := http.NewServeMux()
	mux.Handle("GET /traces", tr.List())
	mux.Handle("GET /traces/{id}", tr.Show())
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/traces":                              {200, `"name":"Order.CreateOrder","spans":1`},
		"/traces?limit=0":                      {400, "limit"},
		"/traces/" + telemetry.TraceID(ctx):    {200, `"service":"order"`},
		"/traces/" + strings.Repeat("a", 32):   {404, "no span"},
		"/traces/" + strings.Repeat("z", 3000): {400, "hexadecimal"},
	} {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != want.status || !strings.Contains(rec.Body.String(), want.text) {
			t.Errorf("%.60s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

func ExampleTracer() {
	t, err := telemetry.New(telemetry.Config{Host: "example"})
	if err != nil {
		panic(err)
	}
	ctx, span := t.Join(context.Background(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "GET /things", telemetry.Server)
	_, step := telemetry.Start(ctx, "look", telemetry.Internal)
	step.Done(nil)
	span.Done(nil)
	for _, s := range t.Spans(span.SpanContext().TraceID()) {
		fmt.Println(s.Kind, s.Name)
	}
	// Output:
	// server GET /things
	// internal look
}
