package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Kind says on which side of what a span is; as OpenTelemetry has it.
type Kind uint8

// The kinds.
const (
	Internal Kind = iota
	Server
	Client
	Producer
	Consumer
)

// String is the kind's name in JSON.
func (k Kind) String() string {
	switch k {
	case Server:
		return "server"
	case Client:
		return "client"
	case Producer:
		return "producer"
	case Consumer:
		return "consumer"
	default:
		return "internal"
	}
}

// Attr is something that a span says: never a value that a user typed, nor a secret.
type Attr struct{ Key, Value string }

// SpanData is one piece of work that is over.
type SpanData struct {
	Trace  trace.TraceID
	ID     trace.SpanID
	Parent trace.SpanID // zero for the first of a trace
	// Flags are those of the trace: whether who began it wants it kept.
	Flags trace.TraceFlags
	Kind  Kind
	// Stream says that it lasted as long as somebody liked: it is never slow.
	Stream bool
	// Direct says that it was a call inside of one process.
	Direct bool
	// Service is who did the work: a module, or the gateway.
	Service string
	Name    string
	// Peer is the service that was called; of a client's span.
	Peer string
	// Code is what went wrong: a gRPC code such as NotFound, or what a database calls it; empty when nothing did.
	Code  string
	Start int64 // nanoseconds since 1970
	Took  time.Duration
	Attrs []Attr
	// Links are spans of other traces that this one worked for: a batch has many.
	Links []trace.SpanContext
}

// Failed says that the span's service is to blame for what went wrong, not who asked it.
func (s *SpanData) Failed() bool {
	switch s.Code {
	case "":
		return false
	case "Internal", "Unknown", "Unavailable", "DeadlineExceeded", "DataLoss", "Unimplemented":
		return true
	}
	return false
}

// SpanJSON is a SpanData as the pages show it, and as `cleave trace` reads it.
type SpanJSON struct {
	Trace   string            `json:"trace_id"`
	ID      string            `json:"span_id"`
	Parent  string            `json:"parent_id,omitempty"`
	Host    string            `json:"host,omitempty"`
	Service string            `json:"service"`
	Name    string            `json:"name"`
	Kind    string            `json:"kind"`
	Start   time.Time         `json:"start"`
	Nanos   int64             `json:"duration_ns"`
	Code    string            `json:"code,omitempty"`
	Failed  bool              `json:"failed,omitempty"`
	Attrs   map[string]string `json:"attributes,omitempty"`
	Links   []LinkJSON        `json:"links,omitempty"`
}

// LinkJSON is a span that another one worked for.
type LinkJSON struct {
	Trace string `json:"trace_id"`
	Span  string `json:"span_id"`
}

// JSON is s as the pages show it; host is the process's.
func (s *SpanData) JSON(host string) SpanJSON {
	out := SpanJSON{
		Trace: s.Trace.String(), ID: s.ID.String(), Host: host, Service: s.Service, Name: s.Name, Kind: s.Kind.String(),
		Start: time.Unix(0, s.Start).UTC(), Nanos: int64(s.Took), Code: s.Code, Failed: s.Failed(),
	}
	if s.Parent.IsValid() {
		out.Parent = s.Parent.String()
	}
	for _, a := range s.Attributes() {
		if out.Attrs == nil {
			out.Attrs = map[string]string{}
		}
		out.Attrs[a.Key] = a.Value
	}
	for _, l := range s.Links {
		out.Links = append(out.Links, LinkJSON{l.TraceID().String(), l.SpanID().String()})
	}
	return out
}

// Attributes are those that were set, and those that a flag stands for.
func (s *SpanData) Attributes() []Attr {
	out := s.Attrs[:len(s.Attrs):len(s.Attrs)]
	if s.Peer != "" {
		out = append(out, Attr{"peer.service", s.Peer})
	}
	if s.Direct {
		out = append(out, Attr{"cleave.direct", "true"})
	}
	if s.Stream {
		out = append(out, Attr{"cleave.stream", "true"})
	}
	return out
}
