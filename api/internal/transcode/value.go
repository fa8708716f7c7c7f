package transcode

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Bindable says whether a field can be given as text: a scalar, an enum, or a well-known type whose JSON is a string, a number or a bool.
func Bindable(fd protoreflect.FieldDescriptor) bool {
	if fd.IsMap() {
		return false
	}
	return fd.Message() == nil || isText(fd.Message()) != noText
}

type textKind int

const (
	noText   textKind = iota
	quoted            // its JSON is a string
	unquoted          // its JSON is a number or a bool
)

// isText says how the text of a well-known type is written in JSON.
func isText(md protoreflect.MessageDescriptor) textKind {
	switch md.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask", "google.protobuf.StringValue",
		"google.protobuf.BytesValue", "google.protobuf.Int64Value", "google.protobuf.UInt64Value":
		return quoted
	case "google.protobuf.BoolValue", "google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.DoubleValue",
		"google.protobuf.FloatValue":
		return unquoted
	}
	return noText
}

// set gives the field its value, or a list one more.
func set(m protoreflect.Message, p FieldPath, text string) error {
	fd := p.last()
	if !utf8.ValidString(text) {
		return errors.New("is not UTF-8")
	}
	parent, err := p.parent(m)
	if err != nil {
		return err
	}
	if fd.Message() != nil {
		return setMessage(parent, fd, text)
	}
	v, err := scalar(fd, text)
	if err != nil {
		return err
	}
	if fd.IsList() {
		parent.Mutable(fd).List().Append(v)
	} else {
		parent.Set(fd, v)
	}
	return nil
}

func setMessage(parent protoreflect.Message, fd protoreflect.FieldDescriptor, text string) error {
	v := parent.NewField(fd)
	if fd.IsList() {
		v = v.List().NewElement()
	}
	if !fill(v.Message(), text) {
		return fmt.Errorf("%q is not a %s", text, fd.Message().Name())
	}
	if fd.IsList() {
		parent.Mutable(fd).List().Append(v)
	} else {
		parent.Set(fd, v)
	}
	return nil
}

// fill reads a well-known type, and says whether it could.
func fill(m protoreflect.Message, text string) bool {
	md := m.Descriptor()
	if md.FullName() == "google.protobuf.FieldMask" {
		return fillMask(m, text)
	}
	if isText(md) == quoted {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) && md.FullName() != "google.protobuf.StringValue" {
			return false
		}
		raw, err := json.Marshal(text)
		if err != nil {
			return false
		}
		text = string(raw)
	}
	return protojson.Unmarshal([]byte(text), m.Interface()) == nil
}

// fillMask reads a FieldMask: names with commas between them, in JSON's form or in the proto's, which protojson refuses, or "*".
func fillMask(m protoreflect.Message, text string) bool {
	paths := m.Mutable(m.Descriptor().Fields().ByName("paths")).List()
	for name := range strings.SplitSeq(text, ",") {
		var b strings.Builder
		for _, r := range name {
			if r >= 'A' && r <= 'Z' {
				b.WriteByte('_')
				r += 'a' - 'A'
			}
			b.WriteRune(r)
		}
		if path := b.String(); path == "*" || protoreflect.FullName(path).IsValid() {
			paths.Append(protoreflect.ValueOfString(path))
		} else if text != "" {
			return false
		}
	}
	return true
}

// scalar parses text as a field's kind.
func scalar(fd protoreflect.FieldDescriptor, text string) (protoreflect.Value, error) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BoolKind:
		switch text {
		case "true":
			return protoreflect.ValueOfBool(true), nil
		case "false":
			return protoreflect.ValueOfBool(false), nil
		}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			return protoreflect.ValueOfInt32(int32(n)), nil
		}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return protoreflect.ValueOfInt64(n), nil
		}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			return protoreflect.ValueOfUint32(uint32(n)), nil
		}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return protoreflect.ValueOfUint64(n), nil
		}
	case protoreflect.FloatKind:
		if x, err := strconv.ParseFloat(text, 32); err == nil && isNumber(text) {
			return protoreflect.ValueOfFloat32(float32(x)), nil
		}
	case protoreflect.DoubleKind:
		if x, err := strconv.ParseFloat(text, 64); err == nil && isNumber(text) {
			return protoreflect.ValueOfFloat64(x), nil
		}
	case protoreflect.BytesKind:
		if b, ok := decodeBase64(text); ok {
			return protoreflect.ValueOfBytes(b), nil
		}
	case protoreflect.EnumKind:
		return enum(fd.Enum(), text)
	case protoreflect.MessageKind, protoreflect.GroupKind:
	}
	return protoreflect.Value{}, fmt.Errorf("%q is not a %s", text, fd.Kind())
}

// isNumber says whether text is a JSON number, or one of the names that protobuf JSON has for others: strconv takes more, 0x1p-2 and inf.
func isNumber(text string) bool {
	switch text {
	case "NaN", "Infinity", "-Infinity":
		return true
	}
	return text != "" && strings.Trim(text, "0123456789.eE+-") == "" && json.Valid([]byte(text))
}

func enum(ed protoreflect.EnumDescriptor, text string) (protoreflect.Value, error) {
	if v := ed.Values().ByName(protoreflect.Name(text)); v != nil {
		return protoreflect.ValueOfEnum(v.Number()), nil
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), nil
	}
	return protoreflect.Value{}, fmt.Errorf("%q is no %s", text, ed.Name())
}

// decodeBase64 takes both alphabets, with or without padding, as protobuf JSON does.
func decodeBase64(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") { // Go's decoder passes over them
		return nil, false
	}
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	b, err := base64.RawStdEncoding.DecodeString(s)
	return b, err == nil
}
