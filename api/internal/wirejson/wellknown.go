package wirejson

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// wellKnown says how the JSON of a message differs from that of others.
type wellKnown uint8

const (
	ordinary wellKnown = iota
	empty              // an object, but in a google.protobuf.Any a value
	anyType
	timestamp
	duration
	wrapper
	structType
	listValue
	valueType
	fieldMask
	refused // it has none
)

// want is a field that a well-known type must have.
type want struct {
	kind  protoreflect.Kind
	shape shape
}

// classify is called when the fields are there.
func (m *message) classify() wellKnown {
	if set, ok := m.desc.(interface{ IsMessageSet() bool }); ok && set.IsMessageSet() {
		return refused
	}
	if m.name.Parent() != "google.protobuf" {
		return ordinary
	}
	known, wants := ordinary, []want(nil)
	switch m.name.Name() {
	case "Empty":
		return empty
	case "Any":
		known, wants = anyType, []want{{protoreflect.StringKind, single}, {protoreflect.BytesKind, single}}
	case "Timestamp":
		known, wants = timestamp, []want{{protoreflect.Int64Kind, single}, {protoreflect.Int32Kind, single}}
	case "Duration":
		known, wants = duration, []want{{protoreflect.Int64Kind, single}, {protoreflect.Int32Kind, single}}
	case "BoolValue":
		known, wants = wrapper, []want{{protoreflect.BoolKind, single}}
	case "Int32Value":
		known, wants = wrapper, []want{{protoreflect.Int32Kind, single}}
	case "Int64Value":
		known, wants = wrapper, []want{{protoreflect.Int64Kind, single}}
	case "UInt32Value":
		known, wants = wrapper, []want{{protoreflect.Uint32Kind, single}}
	case "UInt64Value":
		known, wants = wrapper, []want{{protoreflect.Uint64Kind, single}}
	case "FloatValue":
		known, wants = wrapper, []want{{protoreflect.FloatKind, single}}
	case "DoubleValue":
		known, wants = wrapper, []want{{protoreflect.DoubleKind, single}}
	case "StringValue":
		known, wants = wrapper, []want{{protoreflect.StringKind, single}}
	case "BytesValue":
		known, wants = wrapper, []want{{protoreflect.BytesKind, single}}
	case "Struct":
		known, wants = structType, []want{{protoreflect.MessageKind, mapping}}
	case "ListValue":
		known, wants = listValue, []want{{protoreflect.MessageKind, list}}
	case "Value":
		known, wants = valueType, []want{
			{protoreflect.EnumKind, single}, {protoreflect.DoubleKind, single}, {protoreflect.StringKind, single}, {protoreflect.BoolKind, single},
			{protoreflect.MessageKind, single}, {protoreflect.MessageKind, single},
		}
	case "FieldMask":
		known, wants = fieldMask, []want{{protoreflect.StringKind, list}}
	}
	if !m.has(wants) || known == valueType && !m.isValue() {
		return refused
	}
	return known
}

// has says whether the fields, numbered from 1 in their order, are the ones wanted. Other fields would be lost: there must be none.
func (m *message) has(wants []want) bool {
	if wants == nil {
		return true
	}
	if len(m.fields) != len(wants) || m.required {
		return false
	}
	for i, w := range wants {
		f := m.fields[i]
		if int(f.num) != i+1 || f.kind != w.kind || f.shape != w.shape {
			return false
		}
		holdsValues := w.shape != single && w.kind == protoreflect.MessageKind
		if holdsValues && valuesOf(f) != "google.protobuf.Value" {
			return false
		}
		if w.shape == mapping && f.mapKey.kind != protoreflect.StringKind {
			return false
		}
	}
	return true
}

func valuesOf(f *field) protoreflect.FullName {
	fd := f.desc
	if f.shape == mapping {
		fd = fd.MapValue()
	}
	if fd.Message() == nil {
		return ""
	}
	return fd.Message().FullName()
}

// isValue says whether a message with the fields of google.protobuf.Value is one.
func (m *message) isValue() bool {
	for _, f := range m.fields {
		if f.oneof != 0 {
			return false
		}
	}
	return m.oneofs == 1 && m.fields[0].null && m.fields[4].desc.Message().FullName() == "google.protobuf.Struct" &&
		m.fields[5].desc.Message().FullName() == "google.protobuf.ListValue"
}

func (m *message) refusal() error {
	return fmt.Errorf("wirejson: %s has no JSON: it is a message set, or not the published type of that name", m.name)
}
