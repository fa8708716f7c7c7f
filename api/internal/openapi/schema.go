package openapi

import (
	"maps"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// message returns a reference to the schema of a message, and puts it among the components.
func (b *builder) message(md protoreflect.MessageDescriptor) object {
	if s := wellKnown(md.FullName()); s != nil {
		return s
	}
	name := string(md.FullName())
	if b.lax {
		name += unchecked
	}
	if _, ok := b.schemas[name]; !ok {
		b.schemas[name] = object{} // so that a message within itself ends
		b.schemas[name] = b.properties(md, nil, true)
	}
	return object{"$ref": b.prefix + name}
}

// unchecked is the end of the name of a message's schema without any of its rules.
const unchecked = ".Unchecked"

// unruled makes schemas without rules while fn runs, when the rules of a field are not to be looked at, nor those of what is in it.
func (b *builder) unruled(fd protoreflect.FieldDescriptor, fn func() object) object {
	before := b.lax
	b.lax = b.lax || rules(fd).GetIgnore() == validate.Ignore_IGNORE_ALWAYS
	defer func() { b.lax = before }()
	return fn()
}

// properties is the schema of a message without the fields that are left out. demanding says whether what must be given is required: a PATCH
// brings only what it changes.
func (b *builder) properties(md protoreflect.MessageDescriptor, without func(protoreflect.FieldDescriptor) bool, demanding bool) object {
	props := object{}
	var required []string
	left := false
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if without != nil && without(fd) {
			left = true
			continue
		}
		s := b.field(fd)
		describe(s, comment(fd))
		if o, ok := fd.Options().(*descriptorpb.FieldOptions); ok && o.GetDeprecated() {
			s["deprecated"] = true
		}
		props[fd.JSONName()] = s
		if demanding && !b.lax && needed(fd) {
			required = append(required, fd.JSONName())
		}
	}
	s := object{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	if !left {
		oneofs(s, md, demanding && !b.lax)
	}
	if text := comment(md); text != "" {
		s["description"] = text
	}
	if o, ok := md.Options().(*descriptorpb.MessageOptions); ok && o.GetDeprecated() {
		s["deprecated"] = true
	}
	return s
}

// describe puts a text before what a schema says of itself.
func describe(s object, text string) {
	if had, _ := s["description"].(string); had != "" && text != "" {
		text += "\n\n" + had
	}
	if text != "" {
		s["description"] = text
	}
}

// oneofs says that of the fields of a oneof one is there at most, or exactly one. It is said by what may not be: those that make code of a schema
// take oneOf and anyOf for other types.
func oneofs(s object, md protoreflect.MessageDescriptor, demanding bool) {
	var never []any
	for i := range md.Oneofs().Len() {
		od := md.Oneofs().Get(i)
		if od.IsSynthetic() {
			continue
		}
		var each []any
		for j := range od.Fields().Len() {
			each = append(each, object{"required": []string{od.Fields().Get(j).JSONName()}})
			for k := range j {
				never = append(never, object{"required": []string{od.Fields().Get(k).JSONName(), od.Fields().Get(j).JSONName()}})
			}
		}
		if r, _ := proto.GetExtension(od.Options(), validate.E_Oneof).(*validate.OneofRules); r.GetRequired() && demanding {
			never = append(never, object{"not": object{"anyOf": each}})
		}
	}
	if len(never) > 0 {
		s["not"] = object{"anyOf": never}
	}
}

// needed says whether a message without the field breaks the rules: it is required, or its default value, which is what it has then, isn't allowed.
func needed(fd protoreflect.FieldDescriptor) bool {
	r := rules(fd)
	if r.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
		return false
	}
	if r.GetRequired() {
		return true
	}
	if fd.HasPresence() || r.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE {
		return false
	}
	switch {
	case fd.IsList():
		return r.GetRepeated().GetMinItems() > 0
	case fd.IsMap():
		return r.GetMap().GetMinPairs() > 0
	case fd.Kind() == protoreflect.StringKind:
		s := r.GetString()
		return s.GetMinLen() > 0 || s.GetLen() > 0 || len(s.GetIn()) > 0 || formatOf(r) != "" || s.GetPattern() != "" && !matches(s.GetPattern(), "")
	case fd.Kind() == protoreflect.EnumKind:
		return slices.Contains(r.GetEnum().GetNotIn(), 0)
	}
	bounds := boundsOf(r)
	low, ok := bounds["minimum"].(number)
	over, strict := bounds["exclusiveMinimum"].(number)
	return ok && low > 0 || strict && over >= 0
}

// field is the schema of a field's JSON.
func (b *builder) field(fd protoreflect.FieldDescriptor) object {
	return b.unruled(fd, func() object { return b.ruled(fd) })
}

func (b *builder) ruled(fd protoreflect.FieldDescriptor) object {
	r := rules(fd)
	if b.lax {
		r = nil
	}
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
	s := b.single(fd, r)
	for _, rule := range r.GetCel() {
		describe(s, strings.TrimSpace(rule.GetMessage()))
	}
	return s
}

func (b *builder) single(fd protoreflect.FieldDescriptor, r *validate.FieldRules) object {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return maps.Clone(b.message(fd.Message()))
	case protoreflect.EnumKind:
		return enum(fd.Enum(), r)
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.BytesKind:
		s := object{"type": "string", "contentEncoding": "base64"}
		if m := r.GetBytes(); m != nil && m.MaxLen != nil {
			s["maxLength"] = (m.GetMaxLen() + 2) / 3 * 4
		}
		return s
	case protoreflect.StringKind:
		return stringSchema(r)
	default:
		return numberSchema(fd.Kind(), r)
	}
}

// enum has the names of the values, without those that a rule excludes.
func enum(ed protoreflect.EnumDescriptor, r *validate.FieldRules) object {
	var names []string
	var says []string
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		e := r.GetEnum()
		zero := v.Number() == 0 && r.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE
		if !zero && (slices.Contains(e.GetNotIn(), int32(v.Number())) || len(e.GetIn()) > 0 && !slices.Contains(e.GetIn(), int32(v.Number()))) {
			continue
		}
		names = append(names, string(v.Name()))
		if text := comment(v); text != "" {
			says = append(says, "- `"+string(v.Name())+"`: "+strings.ReplaceAll(text, "\n", " "))
		}
	}
	s := object{"type": "string", "enum": names}
	describe(s, strings.Join(says, "\n"))
	return s
}

func stringSchema(f *validate.FieldRules) object {
	s, r := object{"type": "string"}, f.GetString()
	if r == nil {
		return s
	}
	put(s, "maxLength", r.MaxBytes) // no character has less than a byte
	put(s, "maxLength", r.MaxLen)
	put(s, "maxLength", r.Len)
	if len(r.GetIn()) > 0 {
		s["enum"] = r.GetIn()
	}
	if f.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE { // it may be empty
		if r.Pattern != nil {
			s["pattern"] = "^$|" + r.GetPattern()
		}
		return s
	}
	put(s, "minLength", r.MinLen)
	put(s, "minLength", r.Len)
	if r.Pattern != nil {
		s["pattern"] = r.GetPattern()
	}
	if format := formatOf(f); format != "" {
		s["format"] = format
	}
	return s
}

// formatOf is JSON Schema's name of what a text has to be; "" for anything.
func formatOf(f *validate.FieldRules) string {
	r := f.GetString()
	for format, on := range map[string]bool{
		"uuid": r.GetUuid(), "email": r.GetEmail(), "uri": r.GetUri(), "uri-reference": r.GetUriRef(), "hostname": r.GetHostname(),
		"ipv4": r.GetIpv4(), "ipv6": r.GetIpv6(),
	} {
		if on {
			return format
		}
	}
	return ""
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
