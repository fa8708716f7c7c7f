package rpc

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// changeable are the fields of a product that an update may name.
func changeable() []string {
	return []string{"handle", "title", "description_html", "vendor", "category", "tags", "status", "variants", "images"}
}

// maskOf returns the fields that an update changes (AIP-134): those that the mask names, all for "*", those that are set for none.
func maskOf(in *catalogv1.UpdateProductRequest) ([]string, error) {
	paths := in.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		in.GetProduct().ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			if slices.Contains(changeable(), string(fd.Name())) {
				paths = append(paths, string(fd.Name()))
			}
			return true
		})
		return paths, nil
	}
	if slices.Equal(paths, []string{"*"}) {
		return changeable(), nil
	}
	for _, p := range paths {
		if !slices.Contains(changeable(), p) {
			return nil, problem.Invalid(problem.Field{
				Path: "update_mask", Message: "can't change " + p + "; it may name " + strings.Join(changeable(), ", "),
			})
		}
	}
	return paths, nil
}

// apply copies the fields from one message to the other, unset ones too.
func apply(to, from *catalogv1.Product, paths []string) {
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
