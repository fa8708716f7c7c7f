package transcode

import (
	"bytes"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/api/internal/wirejson"
)

// Encode makes the message of a request as Request does, in its wire format, and for most requests without a message. What needs one, a
// variable in a message or a PATCH without a mask, and every error, is Request's.
func (b *Binding) Encode(values []string, query url.Values, body []byte) (*wirejson.Encoded, error) {
	c := b.compiled()
	if wire, ok := b.encode(c, values, query, body); ok {
		return c.in.Wrap(wire), nil
	}
	m, err := b.Request(values, query, body)
	if err != nil {
		return nil, err
	}
	wire, err := proto.Marshal(m)
	if err != nil {
		return nil, bodyError(err) // a required field of proto2 that is not set
	}
	return c.in.Wrap(wire), nil
}

// Answer makes an empty message for what the service answers.
func (b *Binding) Answer() *wirejson.Encoded { return b.compiled().out.New() }

// JSON writes an answer as Response does.
func (b *Binding) JSON(answer *wirejson.Encoded) ([]byte, error) {
	c := b.compiled()
	if b.ResponseBody == nil {
		return c.answer.JSON(answer.Wire())
	}
	if c.answerOf != nil {
		part, n, err := only(answer.Wire(), b.ResponseBody.last().Number())
		switch {
		case err != nil:
			return nil, err
		case n == 0:
			return []byte("null"), nil // an object full of default values would be made up
		case n == 1:
			return c.answerOf.JSON(part)
		}
	}
	m := dynamicpb.NewMessage(b.Output)
	if err := (proto.UnmarshalOptions{Resolver: b.resolver()}).Unmarshal(answer.Wire(), m); err != nil {
		return nil, err
	}
	return b.Response(m)
}

// isMessage says that a field holds one message that is encoded as bytes.
func isMessage(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.MessageKind && !fd.IsList() && !fd.IsMap()
}

// only finds a field that holds a message, and says how often it is there.
func only(wire []byte, num protowire.Number) (part []byte, n int, err error) {
	for len(wire) > 0 {
		at, t, size := protowire.ConsumeTag(wire)
		if size < 0 {
			return nil, 0, protowire.ParseError(size)
		}
		value := protowire.ConsumeFieldValue(at, t, wire[size:])
		if value < 0 {
			return nil, 0, protowire.ParseError(value)
		}
		if at == num && t == protowire.BytesType {
			n++
			part, _ = protowire.ConsumeBytes(wire[size:])
		}
		wire = wire[size+value:]
	}
	return part, n, nil
}

// encode is false when the request has to be made as a message, if it can be made at all.
func (b *Binding) encode(c *compiled, values []string, query url.Values, body []byte) ([]byte, bool) {
	var wire []byte
	if len(bytes.TrimSpace(body)) > 0 {
		var ok bool
		if wire, ok = b.encodeBody(c, body); !ok {
			return nil, false
		}
	}
	fromBody := len(wire)
	if wire == nil {
		wire = make([]byte, 0, 64)
	}
	var room [8]protoreflect.FieldDescriptor
	given := room[:0]
	for _, name := range inOrder(query) { // so that one request is one sequence of bytes
		texts := query[name]
		fd, ok := b.parameter(name)
		if !ok || len(texts) > 1 && !fd.IsList() {
			return nil, false
		}
		for _, text := range texts {
			if wire, ok = appendText(wire, fd, text); !ok {
				return nil, false
			}
		}
		given = append(given, fd)
	}
	for i, p := range b.Vars {
		if len(p) != 1 || b.Body != nil && p[0] == b.Body[0] {
			return nil, false
		}
		var ok bool
		if wire, ok = appendText(wire, p[0], values[i]); !ok { // a match has a value for each variable
			return nil, false
		}
		given = append(given, p[0])
	}
	if clash(wire[:fromBody], given) {
		return nil, false
	}
	return wire, true
}

// inOrder are the names of the parameters.
func inOrder(query url.Values) []string {
	if len(query) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(query))
}

func (b *Binding) encodeBody(c *compiled, body []byte) ([]byte, bool) {
	if c.whole != nil {
		wire, err := c.whole.AppendWire(nil, body)
		return wire, err == nil
	}
	if c.body == nil || b.Mask != nil {
		return nil, false
	}
	inner, err := c.body.AppendWire(nil, body)
	if err != nil {
		return nil, false
	}
	wire := make([]byte, 0, len(inner)+16)
	return protowire.AppendBytes(protowire.AppendTag(wire, b.Body.last().Number(), protowire.BytesType), inner), true
}

// parameter finds the field of a query's parameter, if it is a plain one: a scalar at the top that nothing else gives.
func (b *Binding) parameter(name string) (protoreflect.FieldDescriptor, bool) {
	if b.Whole || strings.Contains(name, ".") {
		return nil, false
	}
	p, err := Resolve(b.Input, []string{name})
	if err != nil || p[0].Message() != nil || b.Body != nil && p.within(b.Body) || b.bound(p) {
		return nil, false
	}
	return p[0], true
}

// clash says whether one of the fields is given twice, in the body or beside it, or another one of its oneof is.
func clash(body []byte, given []protoreflect.FieldDescriptor) bool {
	for i, fd := range given {
		for _, other := range given[:i] {
			if fd == other || excludes(fd, other) {
				return true
			}
		}
	}
	for len(body) > 0 && len(given) > 0 {
		num, t, size := protowire.ConsumeTag(body)
		if size < 0 {
			return true
		}
		value := protowire.ConsumeFieldValue(num, t, body[size:])
		if value < 0 {
			return true
		}
		for _, fd := range given {
			other := fd.ContainingMessage().Fields().ByNumber(num)
			if other == nil || other == fd || excludes(fd, other) {
				return true
			}
		}
		body = body[size+value:]
	}
	return false
}

// excludes says whether two fields are of one oneof.
func excludes(a, b protoreflect.FieldDescriptor) bool {
	o := a.ContainingOneof()
	return o != nil && o == b.ContainingOneof()
}

// appendText writes the value of a scalar that is given as text. A zero that means none is not written.
func appendText(wire []byte, fd protoreflect.FieldDescriptor, text string) ([]byte, bool) {
	if fd.Message() != nil || !utf8.ValidString(text) {
		return nil, false
	}
	v, err := scalar(fd, text)
	if err != nil {
		return nil, false
	}
	if !fd.IsList() && !fd.HasPresence() && v.Equal(fd.Default()) && !negativeZero(v) {
		return wire, true
	}
	return appendScalar(wire, fd, v), true
}

func negativeZero(v protoreflect.Value) bool {
	switch x := v.Interface().(type) {
	case float32:
		return x == 0 && math.Signbit(float64(x))
	case float64:
		return x == 0 && math.Signbit(x)
	}
	return false
}

// appendScalar writes a value with its tag.
func appendScalar(b []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	num := fd.Number()
	switch x := v.Interface().(type) {
	case string:
		return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), x)
	case []byte:
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), x)
	case bool:
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), protowire.EncodeBool(x))
	case protoreflect.EnumNumber:
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(int64(x))) //nolint:gosec // a varint's sign
	case float32:
		return protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), math.Float32bits(x))
	case float64:
		return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), math.Float64bits(x))
	case int32:
		return appendInteger(b, fd, int64(x))
	case int64:
		return appendInteger(b, fd, x)
	case uint32:
		return appendInteger(b, fd, int64(x))
	case uint64:
		return appendInteger(b, fd, int64(x)) //nolint:gosec // its bits
	default: // scalar makes no other
		return b
	}
}

func appendInteger(b []byte, fd protoreflect.FieldDescriptor, x int64) []byte {
	num := fd.Number()
	switch fd.Kind() {
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), protowire.EncodeZigZag(x))
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), uint32(x)) //nolint:gosec // scalar made it one
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), uint64(x)) //nolint:gosec // its bits
	default:
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(x)) //nolint:gosec // its bits
	}
}
