// Package transcode turns HTTP requests into messages and messages into JSON, by the rules of google/api/http.proto. It knows no HTTP
// server.
package transcode

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// FieldPath is a field, or a field of a field, from the outside in.
type FieldPath []protoreflect.FieldDescriptor

// Resolve finds the field that a path names, in the proto's names or JSON's. Every field but the last must be a single message.
func Resolve(md protoreflect.MessageDescriptor, path []string) (FieldPath, error) {
	var out FieldPath
	for i, name := range path {
		fd := md.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			fd = md.Fields().ByJSONName(name)
		}
		if fd == nil {
			return nil, fmt.Errorf("%s has no field %q", md.FullName(), name)
		}
		out = append(out, fd)
		if i == len(path)-1 {
			return out, nil
		}
		if !HasFields(fd) {
			return nil, fmt.Errorf("%s has no fields", strings.Join(path[:i+1], "."))
		}
		md = fd.Message()
	}
	return nil, fmt.Errorf("the path is empty")
}

// HasFields says whether a path may go on into the field: it is a single message, and not one of protobuf's own, whose JSON hides its fields.
func HasFields(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && !fd.IsMap() && !fd.IsList() && fd.Message().ParentFile().Package() != "google.protobuf"
}

// String is the path in the proto's names.
func (p FieldPath) String() string {
	names := make([]string, len(p))
	for i, fd := range p {
		names[i] = string(fd.Name())
	}
	return strings.Join(names, ".")
}

func (p FieldPath) last() protoreflect.FieldDescriptor { return p[len(p)-1] }

// within says whether q is p or a field of it, or the other way round.
func (p FieldPath) within(q FieldPath) bool {
	n := min(len(p), len(q))
	return slices.Equal(p[:n], q[:n])
}

// parent returns the message that the last field is in, and makes those on the way. A field of a oneof that has another one already is
// an error: one of the two would be lost.
func (p FieldPath) parent(m protoreflect.Message) (protoreflect.Message, error) {
	for i, fd := range p {
		if o := fd.ContainingOneof(); o != nil {
			if other := m.WhichOneof(o); other != nil && other != fd {
				return nil, fmt.Errorf("can't be given together with %s", other.Name())
			}
		}
		if i < len(p)-1 {
			m = m.Mutable(fd).Message()
		}
	}
	return m, nil
}

// get returns the value of the field, and whether it is set.
func (p FieldPath) get(m protoreflect.Message) (protoreflect.Value, bool) {
	for _, fd := range p[:len(p)-1] {
		if !m.Has(fd) {
			return protoreflect.Value{}, false
		}
		m = m.Get(fd).Message()
	}
	return m.Get(p.last()), m.Has(p.last())
}
