package rpc

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cleavehq/cleave/chassis/problem"
)

// maskOf returns which of the changeable fields an update changes (AIP-134): those that the mask names, all for "*", those that are set in m
// for none.
func maskOf(mask *fieldmaskpb.FieldMask, m proto.Message, changeable ...string) ([]string, error) {
	paths := mask.GetPaths()
	if slices.Equal(paths, []string{"*"}) {
		return changeable, nil
	}
	if len(paths) == 0 {
		m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			if slices.Contains(changeable, string(fd.Name())) {
				paths = append(paths, string(fd.Name()))
			}
			return true
		})
		return paths, nil
	}
	for _, p := range paths {
		if !slices.Contains(changeable, p) {
			return nil, problem.Invalid(problem.Field{
				Path: "update_mask", Message: "may name " + strings.Join(changeable, ", ") + " only",
			})
		}
	}
	return paths, nil
}

// apply copies the fields from one message to the other, unset ones too.
func apply(to, from proto.Message, paths []string) {
	src, dst := from.ProtoReflect(), to.ProtoReflect()
	for _, p := range paths {
		fd := src.Descriptor().Fields().ByName(protoreflect.Name(p))
		if src.Has(fd) {
			dst.Set(fd, src.Get(fd))
		} else {
			dst.Clear(fd)
		}
	}
}
