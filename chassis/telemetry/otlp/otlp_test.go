package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/chassis/telemetry/otlp"
)

// collector hands what it gets at a path to f.
func collector(t testing.TB, path string, f func(body []byte)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			in = z
		}
		b, err := io.ReadAll(in)
		if err != nil || r.URL.Path != path {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		f(b)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestSpansReachACollector(t *testing.T) {
	var got tracepb.ExportTraceServiceRequest
	at := collector(t, "/v1/traces", func(b []byte) {
		if err := proto.Unmarshal(b, &got); err != nil {
			t.Error(err)
		}
	})
	to, err := otlp.NewSpans(t.Context(), otlp.Config{Endpoint: at, Host: "main"})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := telemetry.New(telemetry.Config{Sample: 1, Export: to})
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := tr.For("order").Join(t.Context(), "", "Order.CreateOrder", telemetry.Server)
	span.Link("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	_, child := telemetry.Start(ctx, "step", telemetry.Internal)
	child.DoneWith("Unavailable")
	span.Done(nil)
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got.GetResourceSpans()) != 1 {
		t.Fatalf("got %v", &got)
	}
	spans := got.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
	if len(spans) != 2 || !bytes.Equal(spans[0].GetParentSpanId(), spans[1].GetSpanId()) || spans[0].GetStatus().GetMessage() != "Unavailable" ||
		len(spans[1].GetLinks()) != 1 || fmt.Sprintf("%x", spans[1].GetLinks()[0].GetSpanId()) != "00f067aa0ba902b7" {
		t.Errorf("got %v", spans)
	}
}

func TestMetricsReachACollector(t *testing.T) {
	var got metricspb.ExportMetricsServiceRequest
	at := collector(t, "/v1/metrics", func(b []byte) {
		if err := proto.Unmarshal(b, &got); err != nil {
			t.Error(err)
		}
	})
	reg := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "call_seconds", Buckets: []float64{1}})
	reg.MustRegister(h)
	h.(prometheus.ExemplarObserver).ObserveWithExemplar(0.5, prometheus.Labels{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"})
	m, err := otlp.NewMetrics(t.Context(), otlp.Config{Endpoint: at, Host: "main"}, reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := got.String()
	if len(got.GetResourceMetrics()) != 1 || len(got.GetResourceMetrics()[0].GetScopeMetrics()) == 0 {
		t.Fatalf("got %s", text)
	}
	metric := got.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0]
	points := metric.GetHistogram().GetDataPoints()
	if metric.GetName() != "call_seconds" || len(points) != 1 || len(points[0].GetExemplars()) != 1 {
		t.Errorf("got %s", text)
	}
}

func Example() {
	_, err := otlp.NewSpans(context.Background(), otlp.Config{Endpoint: "not an address"})
	fmt.Println(err)
	// Output: otlp: the endpoint is no address such as http://127.0.0.1:4318
}
