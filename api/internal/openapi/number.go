package openapi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// number is a bound of a number, of whatever kind; exact up to 2^53.
type number float64

// MarshalJSON implements json.Marshaler: no exponent, which few expect of a count.
func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return strconv.AppendInt(nil, int64(f), 10), nil
	}
	return json.Marshal(float64(n))
}

// numberSchema is the schema of a number. One of 64 bits is a string, since JSON's readers keep 53 bits only; it may be sent as a number, too.
// Its bounds are said by its pattern and its length as far as they can be, and as x-minimum and x-maximum. NaN and Infinity are strings.
func numberSchema(k protoreflect.Kind, r *validate.FieldRules) object {
	bounds := boundsOf(r)
	var s object
	switch k {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		s = object{"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		s = object{"type": "string", "format": "uint64", "pattern": "^[0-9]+$"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		s = object{"type": "integer", "format": "uint32", "minimum": 0, "maximum": number(math.MaxUint32)}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		s = object{"type": []string{"number", "string"}, "format": k.String(), "pattern": "^(NaN|-?Infinity)$"}
	default:
		s = object{"type": "integer", "format": "int32"}
	}
	if s["type"] != "string" {
		for key, v := range bounds {
			s[key] = v
		}
		return s
	}
	for key, v := range bounds {
		s["x-"+key] = v
	}
	low, least := bounds["minimum"].(number)
	high, most := bounds["maximum"].(number)
	if over, ok := bounds["exclusiveMinimum"].(number); ok {
		low, least = over, true
	}
	if least && low >= 0 {
		s["pattern"] = "^[0-9]+$"
		if most {
			s["maxLength"] = len(fmt.Sprintf("%.0f", float64(high)))
		}
	}
	return s
}

// boundsOf is what the rules say of a number, by JSON Schema's keywords.
func boundsOf(r *validate.FieldRules) object {
	out := object{}
	if r == nil {
		return out
	}
	m := r.ProtoReflect()
	kind := m.WhichOneof(m.Descriptor().Oneofs().ByName("type"))
	if kind == nil {
		return out
	}
	of := m.Get(kind).Message()
	for name, key := range map[protoreflect.Name]string{
		"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum",
	} {
		fd := of.Descriptor().Fields().ByName(name)
		if fd == nil || fd.Message() != nil || !of.Has(fd) {
			continue
		}
		switch v := of.Get(fd).Interface().(type) {
		case int32:
			out[key] = number(v)
		case int64:
			out[key] = number(v)
		case uint32:
			out[key] = number(v)
		case uint64:
			out[key] = number(v)
		case float32:
			out[key] = number(v)
		case float64:
			out[key] = number(v)
		}
	}
	return out
}
