package telemetry

import (
	"encoding/json"
	"log/slog"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// hidden stands where a text was.
const hidden = "[REDACTED]"

// Redact returns a copy of m for people: fields that their contract marks with debug_redact, in m and in every message inside of it, are
// "[REDACTED]" when they are texts, and not there when they are not. What is inside an Any, which may be of any kind, and fields that the
// contract doesn't know go too.
func Redact(m proto.Message) proto.Message {
	if m == nil || !m.ProtoReflect().IsValid() {
		return m
	}
	out := proto.Clone(m)
	redact(out.ProtoReflect())
	return out
}

func redact(m protoreflect.Message) {
	m.SetUnknown(nil)
	if m.Descriptor().FullName() == "google.protobuf.Any" {
		m.Clear(m.Descriptor().Fields().ByName("value"))
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case secret(fd):
			hide(m, fd)
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				redact(v.Message())
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				redact(v.List().Get(i).Message())
			}
		case fd.Message() != nil && !fd.IsMap():
			redact(v.Message())
		}
		return true
	})
}

func hide(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	if fd.Kind() == protoreflect.StringKind && !fd.IsList() && !fd.IsMap() {
		m.Set(fd, protoreflect.ValueOfString(hidden))
		return
	}
	m.Clear(fd)
}

func secret(fd protoreflect.FieldDescriptor) bool {
	o, _ := fd.Options().(*descriptorpb.FieldOptions)
	return o.GetDebugRedact()
}

// Message is m for a logger of any kind: log.Info("sent", "request", telemetry.Message{m}). A logger of NewLog does it by itself.
type Message struct{ M proto.Message }

var _ slog.LogValuer = Message{}

// LogValue implements slog.LogValuer.
func (m Message) LogValue() slog.Value { return shown(m.M) }

// redacted is a slog.HandlerOptions.ReplaceAttr.
func redacted(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	if m, ok := a.Value.Any().(proto.Message); ok {
		a.Value = shown(m)
	}
	return a
}

func shown(m proto.Message) slog.Value {
	if m == nil || !m.ProtoReflect().IsValid() {
		return slog.AnyValue(nil)
	}
	b, err := protojson.MarshalOptions{AllowPartial: true}.Marshal(Redact(m))
	if err != nil { // such as a text that isn't UTF-8: what it is must do
		return slog.StringValue(string(m.ProtoReflect().Descriptor().FullName()))
	}
	return slog.AnyValue(document(b))
}

// document is JSON, which stays JSON in a JSON log and is a text in a text one.
type document json.RawMessage

// MarshalJSON implements json.Marshaler.
func (d document) MarshalJSON() ([]byte, error) { return d, nil }

// MarshalText implements encoding.TextMarshaler.
func (d document) MarshalText() ([]byte, error) { return d, nil }
