package rpc

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"sort"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cleavehq/cleave/chassis/schema"
)

// SchemaHash names a contract by its content: "sha256:" and 64 hexadecimal digits over fd, the events of its services and all that these
// import. Two instances with one hash have one contract, so that it need be read from one of them only.
func SchemaHash(fd protoreflect.FileDescriptor) string {
	files := contractFiles(fd)
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	h := sha256.New()
	for _, p := range paths {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(files[p]))
		if err != nil { // a descriptor that was parsed can be written
			panic("rpc: marshal descriptor " + p + ": " + err.Error()) //nolint:forbidigo // it can't be
		}
		h.Write(b)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// contractFiles are fd, the files of the events that its services publish, as far as they are linked into the binary, and all that these import.
func contractFiles(fd protoreflect.FileDescriptor) map[string]protoreflect.FileDescriptor {
	files := map[string]protoreflect.FileDescriptor{}
	collect(fd, files)
	for i := range fd.Services().Len() {
		for _, name := range schema.EventNames(fd.Services().Get(i)) {
			if d, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
				collect(d.ParentFile(), files)
			}
		}
	}
	return files
}

// collect adds fd and what it imports, however deep.
func collect(fd protoreflect.FileDescriptor, into map[string]protoreflect.FileDescriptor) {
	if _, ok := into[fd.Path()]; ok || fd.IsPlaceholder() {
		return
	}
	into[fd.Path()] = fd
	for i := range fd.Imports().Len() {
		collect(fd.Imports().Get(i).FileDescriptor, into)
	}
}

// resolver answers reflection from the contract first, then from what is linked into the binary (health, reflection itself).
type resolver struct{ contract protoregistry.Files }

// newResolver gives the files of a contract their comments, by full name: generated Go has none.
func newResolver(fd protoreflect.FileDescriptor, comments map[string]string) (*resolver, error) {
	r := &resolver{}
	for _, f := range importsFirst(contractFiles(fd)) {
		if p, some := commented(f, comments); some {
			with, err := protodesc.FileOptions{AllowUnresolvable: true}.New(p, r)
			if err != nil {
				return nil, err
			}
			f = with
		}
		if err := r.contract.RegisterFile(f); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// importsFirst puts files in an order in which each comes after those that it imports.
func importsFirst(files map[string]protoreflect.FileDescriptor) []protoreflect.FileDescriptor {
	var out []protoreflect.FileDescriptor
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(fd protoreflect.FileDescriptor) {
		if files[fd.Path()] == nil || seen[fd.Path()] {
			return
		}
		seen[fd.Path()] = true
		for i := range fd.Imports().Len() {
			add(fd.Imports().Get(i).FileDescriptor)
		}
		out = append(out, files[fd.Path()])
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		add(files[path])
	}
	return out
}

// FindFileByPath implements protodesc.Resolver.
func (r *resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if fd, err := r.contract.FindFileByPath(path); err == nil {
		return fd, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

// FindDescriptorByName implements protodesc.Resolver.
func (r *resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := r.contract.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}
