package openapi

import (
	"math"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// message returns a reference to the schema of a message, and puts it among the components.
func (b *builder) message(md protoreflect.MessageDescriptor) object {
	if s := wellKnown(md.FullName()); s != nil {
		return s
	}
	name := string(md.FullName())
	if _, ok := b.schemas[name]; !ok {
		b.schemas[name] = object{} // so that a message within itself ends
		b.schemas[name] = b.properties(md, func(protoreflect.FieldDescriptor) bool { return false })
	}
	return ref(name)
}

func (b *builder) properties(md protoreflect.MessageDescriptor, leave func(protoreflect.FieldDescriptor) bool) object {
	props := object{}
	var required []string
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if leave(fd) {
			continue
		}
		s := b.field(fd)
		if text := comment(fd); text != "" && s["$ref"] == nil {
			s["description"] = text
		}
		props[fd.JSONName()] = s
		if rules(fd).GetRequired() {
			required = append(required, fd.JSONName())
		}
	}
	s := object{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	if text := comment(md); text != "" {
		s["description"] = text
	}
	return s
}

// field is the schema of a field's JSON.
func (b *builder) field(fd protoreflect.FieldDescriptor) object {
	r := rules(fd)
	switch {
	case fd.IsMap():
		s := object{"type": "object", "additionalProperties": b.single(fd.MapValue(), r.GetMap().GetValues())}
		if m := r.GetMap(); m != nil {
			put(s, "minProperties", m.MinPairs)
			put(s, "maxProperties", m.MaxPairs)
		}
		return s
	case fd.IsList():
		s := object{"type": "array", "items": b.single(fd, r.GetRepeated().GetItems())}
		if l := r.GetRepeated(); l != nil {
			put(s, "minItems", l.MinItems)
			put(s, "maxItems", l.MaxItems)
			if l.GetUnique() {
				s["uniqueItems"] = true
			}
		}
		return s
	}
	return b.single(fd, r)
}

func (b *builder) single(fd protoreflect.FieldDescriptor, r *validate.FieldRules) object {
	if r.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
		r = nil
	}
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return b.message(fd.Message())
	case protoreflect.EnumKind:
		var names []string
		for i := range fd.Enum().Values().Len() {
			names = append(names, string(fd.Enum().Values().Get(i).Name()))
		}
		return object{"type": "string", "enum": names}
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.BytesKind:
		return object{"type": "string", "contentEncoding": "base64"}
	case protoreflect.StringKind:
		return stringSchema(r)
	default:
		s := number(fd.Kind())
		limits(s, r)
		return s
	}
}

// number is the schema of a number. One of 64 bits is written as a string, and may be sent as either; NaN and Infinity are strings too.
func number(k protoreflect.Kind) object {
	either := []string{"string", "integer"}
	switch k {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return object{"type": either, "format": "int64", "pattern": "^-?[0-9]+$"}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return object{"type": either, "format": "uint64", "pattern": "^[0-9]+$", "minimum": 0}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return object{"type": "integer", "format": "uint32", "minimum": 0, "maximum": uint32(math.MaxUint32)}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return object{"type": []string{"number", "string"}, "format": k.String(), "pattern": "^(NaN|-?Infinity)$"}
	default:
		return object{"type": "integer", "format": "int32"}
	}
}

// limits adds what the rules say of a number, of whatever kind.
func limits(s object, r *validate.FieldRules) {
	if r == nil {
		return
	}
	m := r.ProtoReflect()
	kind := m.WhichOneof(m.Descriptor().Oneofs().ByName("type"))
	if kind == nil {
		return
	}
	of := m.Get(kind).Message()
	for name, key := range map[protoreflect.Name]string{
		"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum",
	} {
		if fd := of.Descriptor().Fields().ByName(name); fd != nil && fd.Message() == nil && of.Has(fd) {
			s[key] = of.Get(fd).Interface()
		}
	}
}

func stringSchema(f *validate.FieldRules) object {
	s, r := object{"type": "string"}, f.GetString()
	if r == nil {
		return s
	}
	put(s, "maxLength", r.MaxBytes) // no character has less than a byte
	put(s, "maxLength", r.MaxLen)
	put(s, "maxLength", r.Len)
	if f.GetIgnore() != validate.Ignore_IGNORE_IF_ZERO_VALUE { // else it may be empty
		put(s, "minLength", r.MinLen)
		put(s, "minLength", r.Len)
		if r.Pattern != nil {
			s["pattern"] = r.GetPattern()
		}
	}
	if len(r.GetIn()) > 0 {
		s["enum"] = r.GetIn()
	}
	for format, on := range map[string]bool{
		"uuid": r.GetUuid(), "email": r.GetEmail(), "uri": r.GetUri(), "uri-reference": r.GetUriRef(), "hostname": r.GetHostname(),
		"ipv4": r.GetIpv4(), "ipv6": r.GetIpv6(),
	} {
		if on && f.GetIgnore() != validate.Ignore_IGNORE_IF_ZERO_VALUE {
			s["format"] = format
		}
	}
	return s
}

func put(s object, key string, v *uint64) {
	if v != nil {
		s[key] = *v
	}
}

// rules of a field, by protovalidate; nil when it has none.
func rules(fd protoreflect.FieldDescriptor) *validate.FieldRules {
	r, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	return r
}

// wellKnown is the JSON of a well-known type; nil for any other message.
func wellKnown(name protoreflect.FullName) object {
	switch name {
	case "google.protobuf.Timestamp":
		return object{"type": "string", "format": "date-time"}
	case "google.protobuf.Duration":
		return object{"type": "string", "pattern": `^-?[0-9]+(\.[0-9]{1,9})?s$`}
	case "google.protobuf.FieldMask", "google.protobuf.StringValue":
		return object{"type": "string"}
	case "google.protobuf.BytesValue":
		return object{"type": "string", "contentEncoding": "base64"}
	case "google.protobuf.Int64Value":
		return number(protoreflect.Int64Kind)
	case "google.protobuf.UInt64Value":
		return number(protoreflect.Uint64Kind)
	case "google.protobuf.Int32Value":
		return number(protoreflect.Int32Kind)
	case "google.protobuf.UInt32Value":
		return number(protoreflect.Uint32Kind)
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue":
		return number(protoreflect.DoubleKind)
	case "google.protobuf.BoolValue":
		return object{"type": "boolean"}
	case "google.protobuf.Empty":
		return object{"type": "object"}
	case "google.protobuf.Struct", "google.protobuf.Any":
		return object{"type": "object", "additionalProperties": true}
	case "google.protobuf.ListValue":
		return object{"type": "array", "items": object{}}
	case "google.protobuf.Value":
		return object{}
	}
	return nil
}
