package schema

import (
	"fmt"
	"slices"

	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// eventsOption is the option of a service that names the messages it publishes: a repeated string (proto/cleave/v1/options.proto).
const eventsOption protoreflect.FullName = "cleave.v1.events"

const maxEvents = 256

// EventNames are the full names of the messages that a service says it publishes, in the option cleave.v1.events. None when it says nothing, or
// when that option is not linked into the binary.
func EventNames(sd protoreflect.ServiceDescriptor) []protoreflect.FullName {
	var out []protoreflect.FullName
	sd.Options().ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.FullName() != eventsOption || !fd.IsList() || fd.Kind() != protoreflect.StringKind {
			return true
		}
		for i := range v.List().Len() {
			out = append(out, protoreflect.FullName(v.List().Get(i).String()))
		}
		return false
	})
	return out
}

// events asks for the events of the services that are known, and returns the names of those that the server has, sorted: it may not have one
// that is in a file of another binary.
func (f *fetcher) events() ([]protoreflect.FullName, error) {
	files, err := f.link()
	if err != nil {
		return nil, err
	}
	var names, out []protoreflect.FullName
	files.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		for i := range fd.Services().Len() {
			names = append(names, EventNames(fd.Services().Get(i))...)
		}
		return true
	})
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxEvents {
		return nil, fmt.Errorf("it publishes %d events, more than %d", len(names), maxEvents)
	}
	for _, n := range names {
		_, err := files.FindDescriptorByName(n)
		if err != nil {
			err = f.add(&reflectionpb.ServerReflectionRequest{
				MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: string(n)},
			})
		}
		if err == nil {
			out = append(out, n)
		}
	}
	return out, f.imports()
}
