// Package otlp sends spans and metrics to a collector by OTLP over HTTP, https://opentelemetry.io/docs/specs/otlp/#otlphttp, with
// OpenTelemetry's own exporters: they compress, unless the collector is on this machine, try again and wait as a collector asks them to. What Config doesn't say they take from the
// environment as OpenTelemetry has it: OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE and so on.
//
// # Limits
//
//	one export           10 s, with what is tried again
//	metrics              every 30 s
package otlp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

const exportTime = 10 * time.Second

// Config says where the collector is.
type Config struct {
	// Endpoint is the collector's address, such as http://127.0.0.1:4318; /v1/traces and /v1/metrics are put behind it.
	Endpoint string
	// Host and Version are the process's, and go with everything.
	Host, Version string
}

// base checks the endpoint.
func (c Config) base() (string, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("otlp: the endpoint is no address such as http://127.0.0.1:4318") // err would show a password
	}
	return strings.TrimRight(c.Endpoint, "/"), nil
}

// near says that the collector is on this machine: compressing would cost more than it saves.
func (c Config) near() bool {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Spans sends spans. It is a telemetry.Exporter.
type Spans struct {
	c    Config
	http otlptrace.Client
}

var _ telemetry.Exporter = (*Spans)(nil)

// NewSpans makes an exporter; it doesn't connect before there is something to send.
func NewSpans(ctx context.Context, c Config) (*Spans, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	how := otlptracehttp.GzipCompression
	if c.near() {
		how = otlptracehttp.NoCompression
	}
	s := &Spans{c: c, http: otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(base+"/v1/traces"), otlptracehttp.WithCompression(how), otlptracehttp.WithTimeout(exportTime),
	)}
	if err := s.http.Start(ctx); err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	return s, nil
}

// Export implements telemetry.Exporter.
func (s *Spans) Export(ctx context.Context, spans []telemetry.SpanData) error {
	if err := s.http.UploadTraces(ctx, s.resources(spans)); err != nil {
		return fmt.Errorf("otlp: export %d spans: %w", len(spans), err)
	}
	return nil
}

// Close implements telemetry.Exporter.
func (s *Spans) Close(ctx context.Context) error { return s.http.Stop(ctx) }

// resources groups spans by their service: to a collector each module is one, also where they share a process.
func (s *Spans) resources(spans []telemetry.SpanData) []*tracepb.ResourceSpans {
	var out []*tracepb.ResourceSpans
	of := map[string]*tracepb.ScopeSpans{}
	for i := range spans {
		sp := &spans[i]
		scope := of[sp.Service]
		if scope == nil {
			scope = &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: "github.com/cleavehq/cleave/chassis/telemetry"}}
			of[sp.Service] = scope
			out = append(out, &tracepb.ResourceSpans{
				Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
					text("service.name", sp.Service), text("service.namespace", "cleave"), text("service.version", s.c.Version),
					text("service.instance.id", s.c.Host),
				}},
				ScopeSpans: []*tracepb.ScopeSpans{scope},
			})
		}
		scope.Spans = append(scope.Spans, converted(sp))
	}
	return out
}

func converted(s *telemetry.SpanData) *tracepb.Span {
	out := &tracepb.Span{
		TraceId: s.Trace[:], SpanId: s.ID[:], Name: s.Name, Kind: kind(s.Kind), Flags: uint32(s.Flags),
		StartTimeUnixNano: uint64(s.Start), EndTimeUnixNano: uint64(s.Start + int64(s.Took)), //nolint:gosec // of this century
		Status: &tracepb.Status{},
	}
	if s.Parent.IsValid() {
		out.ParentSpanId = s.Parent[:]
	}
	if s.Code != "" {
		out.Attributes = append(out.Attributes, text("cleave.code", s.Code))
		if s.Failed() || s.Kind == telemetry.Client { // a client's error is one whoever is to blame, as OpenTelemetry has it
			out.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: s.Code}
		}
	}
	for _, a := range s.Attributes() {
		out.Attributes = append(out.Attributes, text(a.Key, a.Value))
	}
	for _, l := range s.Links {
		id, span := l.TraceID(), l.SpanID()
		out.Links = append(out.Links, &tracepb.Span_Link{TraceId: id[:], SpanId: span[:]})
	}
	return out
}

func kind(k telemetry.Kind) tracepb.Span_SpanKind {
	switch k {
	case telemetry.Server:
		return tracepb.Span_SPAN_KIND_SERVER
	case telemetry.Client:
		return tracepb.Span_SPAN_KIND_CLIENT
	case telemetry.Producer:
		return tracepb.Span_SPAN_KIND_PRODUCER
	case telemetry.Consumer:
		return tracepb.Span_SPAN_KIND_CONSUMER
	default:
		return tracepb.Span_SPAN_KIND_INTERNAL
	}
}

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}
