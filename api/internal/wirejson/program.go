package wirejson

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// message is the table of one type of message.
type message struct {
	desc     protoreflect.MessageDescriptor
	name     protoreflect.FullName
	known    wellKnown
	fields   []*field // by index: the order of their declaration, which is that of the JSON
	byName   map[string]*field
	dense    []*field // by number
	sparse   map[protowire.Number]*field
	oneofs   int
	required bool // some field is
	extends  bool // it has extension ranges
	exact    bool // the fast path does not do
}

type shape uint8

const (
	single shape = iota
	list
	mapping
)

// field is one field.
type field struct {
	desc     protoreflect.FieldDescriptor
	num      protowire.Number
	index    int // in message.fields; -1 for an extension
	kind     protoreflect.Kind
	shape    shape
	wire     protowire.Type // of one value
	packs    bool           // its values can be packed
	packed   bool           // and are to be
	implicit bool           // a zero is the same as none
	utf8     bool           // what is no UTF-8 is no message
	null     bool           // of google.protobuf.NullValue
	takeNull bool           // JSON's null is a value
	required bool
	oneof    int    // -1 for none
	tag      []byte // before a value, or before the packed values
	end      []byte // after a group
	key      []byte // `,"name":`
	absent   []byte // what is written when it is not set
	text     string // its name in JSON
	plain    bool   // which is no extension's
	msg      *message
	enum     *enum
	mapKey   *field
	mapValue *field
}

// enum is one type of enum.
type enum struct {
	desc   protoreflect.EnumDescriptor
	dense  [][]byte // quoted names by number
	sparse map[protoreflect.EnumNumber][]byte
	byName map[string]protoreflect.EnumNumber
}

const maxDense = 256

// compile is called with c.mu held.
func (c *Codec) compile(md protoreflect.MessageDescriptor) *message {
	if m := c.known[md]; m != nil {
		return m
	}
	m := &message{desc: md, name: md.FullName(), oneofs: md.Oneofs().Len(), byName: map[string]*field{}}
	c.known[md] = m // before its fields: it may be one of them
	fds := md.Fields()
	m.fields = make([]*field, fds.Len())
	top := protowire.Number(0)
	ordered := true
	for i := range fds.Len() {
		f := c.field(fds.Get(i))
		f.index = i
		m.fields[i] = f
		ordered = ordered && f.num > top
		top = max(top, f.num)
		m.required = m.required || f.required
	}
	if top < maxDense {
		m.dense = make([]*field, top+1)
	} else {
		m.sparse = make(map[protowire.Number]*field, len(m.fields))
	}
	for _, f := range m.fields {
		if m.dense != nil {
			m.dense[f.num] = f
		} else {
			m.sparse[f.num] = f
		}
		m.names(fds, f)
	}
	if md.ExtensionRanges().Len() > 0 {
		m.extends = true
	}
	m.exact = !ordered || m.required || m.extends || m.oneofs > 64
	m.known = m.classify()
	return m
}

// names enters the names under which a descriptor finds the field: the JSON name first, then the text name.
func (m *message) names(fds protoreflect.FieldDescriptors, f *field) {
	for _, name := range []string{f.desc.JSONName(), f.desc.TextName()} {
		fd := fds.ByJSONName(name)
		if fd == nil {
			fd = fds.ByTextName(name)
		}
		if fd != nil {
			m.byName[name] = m.fields[fd.Index()]
		}
	}
}

// field is called with c.mu held.
func (c *Codec) field(fd protoreflect.FieldDescriptor) *field {
	f := &field{
		desc: fd, num: fd.Number(), index: -1, kind: fd.Kind(), wire: wireOf(fd.Kind()), oneof: -1, required: fd.Cardinality() == protoreflect.Required,
		text: fd.JSONName(), plain: !strings.HasPrefix(fd.JSONName(), "["),
	}
	f.packs = f.wire != protowire.BytesType && f.wire != protowire.StartGroupType
	switch {
	case fd.IsMap():
		f.shape = mapping
		f.mapKey, f.mapValue = c.field(fd.MapKey()), c.field(fd.MapValue())
	case fd.IsList():
		f.shape = list
		f.packed = fd.IsPacked()
	default:
		f.implicit = !fd.HasPresence()
	}
	if o := fd.ContainingOneof(); o != nil {
		f.oneof = o.Index()
	}
	if fd.Enum() != nil {
		f.enum = newEnum(fd.Enum())
		f.null = fd.Enum().FullName() == "google.protobuf.NullValue"
	}
	if fd.Message() != nil && f.shape != mapping {
		f.msg = c.compile(fd.Message())
	}
	f.takeNull = f.null || fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Value"
	f.utf8 = f.kind == protoreflect.StringKind && enforcesUTF8(fd)
	f.tags()
	f.key, _ = appendString([]byte{','}, []byte(f.text)) // a name is UTF-8
	f.key = append(f.key, ':')
	f.absent = c.absent(f)
	return f
}

func (f *field) tags() {
	wire := f.wire
	if f.packed || f.shape == mapping {
		wire = protowire.BytesType
	}
	f.tag = protowire.AppendTag(nil, f.num, wire)
	if wire == protowire.StartGroupType {
		f.end = protowire.AppendTag(nil, f.num, protowire.EndGroupType)
	}
}

// absent is what is written of a field that is not set.
func (c *Codec) absent(f *field) []byte {
	if !c.o.EmitDefaultValues && !c.o.EmitUnpopulated || f.oneof >= 0 {
		return nil
	}
	var text []byte
	switch {
	case f.shape == list:
		text = []byte("[]")
	case f.shape == mapping:
		text = []byte("{}")
	case !f.implicit:
		if !c.o.EmitUnpopulated {
			return nil
		}
		text = []byte("null")
	case f.kind == protoreflect.StringKind, f.kind == protoreflect.BytesKind:
		text = []byte(`""`)
	default:
		text = f.appendNumber(nil, 0)
	}
	return append(f.key[:len(f.key):len(f.key)], text...)
}

// enforcesUTF8 is by the syntax, or by the feature utf8_validation of an edition.
func enforcesUTF8(fd protoreflect.FieldDescriptor) bool {
	if fd.Syntax() == protoreflect.Editions {
		if e, ok := fd.(interface{ EnforceUTF8() bool }); ok {
			return e.EnforceUTF8()
		}
	}
	return fd.Syntax() == protoreflect.Proto3
}

func wireOf(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	default:
		return protowire.VarintType
	}
}

func newEnum(ed protoreflect.EnumDescriptor) *enum {
	e := &enum{desc: ed, byName: map[string]protoreflect.EnumNumber{}, sparse: map[protoreflect.EnumNumber][]byte{}}
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		n := v.Number()
		e.byName[string(v.Name())] = n
		quoted, _ := appendString(nil, []byte(v.Name()))
		if e.sparse[n] == nil { // the first of those that share a number
			e.sparse[n] = quoted
		}
		for n >= 0 && n < maxDense && int(n) >= len(e.dense) {
			e.dense = append(e.dense, nil)
		}
		if n >= 0 && n < maxDense && e.dense[n] == nil {
			e.dense[n] = quoted
		}
	}
	return e
}

// quoted is the name of n in JSON, or nil.
func (e *enum) quoted(n protoreflect.EnumNumber) []byte {
	if n >= 0 && int(n) < len(e.dense) {
		return e.dense[n]
	}
	return e.sparse[n]
}

// byNumber finds a field that is no extension; nil for none.
func (m *message) byNumber(n protowire.Number) *field {
	if m.dense != nil {
		if int(n) < len(m.dense) {
			return m.dense[n]
		}
		return nil
	}
	return m.sparse[n]
}
