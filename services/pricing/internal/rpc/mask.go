package rpc

import (
	"errors"
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cleavehq/cleave/chassis/problem"
)

// maskOf returns the fields of m that an update changes (AIP-134): those that the mask names, all that can be changed for "*", and of those
// the ones that are set when it is empty.
func maskOf(mask *fieldmaskpb.FieldMask, m proto.Message, changeable []string) ([]string, error) {
	paths := mask.GetPaths()
	if len(paths) == 0 {
		m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			if slices.Contains(changeable, string(fd.Name())) {
				paths = append(paths, string(fd.Name()))
			}
			return true
		})
		return paths, nil
	}
	if slices.Equal(paths, []string{"*"}) {
		return changeable, nil
	}
	for _, p := range paths {
		if !slices.Contains(changeable, p) {
			return nil, problem.Invalid(problem.Field{
				Path: "update_mask", Message: "can't change " + p + "; it may name " + strings.Join(changeable, ", "),
			})
		}
	}
	return paths, nil
}

// apply copies the fields from one message to the other: first the unset ones, so that of a oneof the set one stays.
func apply(to, from proto.Message, paths []string) {
	src, dst := from.ProtoReflect(), to.ProtoReflect()
	for _, set := range []bool{false, true} {
		for _, p := range paths {
			fd := dst.Descriptor().Fields().ByName(protoreflect.Name(p))
			switch {
			case src.Has(fd) != set:
			case set:
				dst.Set(fd, src.Get(fd))
			default:
				dst.Clear(fd)
			}
		}
	}
}

// valid applies the contract's rules to a message; the wrong fields are named from the request's own field on.
func valid(v protovalidate.Validator, field string, m proto.Message) error {
	err := v.Validate(m)
	if err == nil {
		return nil
	}
	var bad *protovalidate.ValidationError
	if !errors.As(err, &bad) {
		return err
	}
	fields := make([]problem.Field, 0, len(bad.Violations))
	for _, b := range bad.Violations {
		path := field
		if p := protovalidate.FieldPathString(b.Proto.GetField()); p != "" {
			path += "." + p
		}
		fields = append(fields, problem.Field{Path: path, Message: b.Proto.GetMessage()})
	}
	return problem.Invalid(fields...)
}

func noKey(path string) error {
	return problem.Invalid(problem.Field{Path: path, Message: "must be given"})
}
