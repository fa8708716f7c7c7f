package rpc

import (
	"crypto/sha256"
	"encoding/hex"
	"sort"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// SchemaHash names a contract by its content: "sha256:" and 64 hexadecimal digits over fd and all that it imports. Two instances with
// one hash have one contract, so that it need be read from one of them only.
func SchemaHash(fd protoreflect.FileDescriptor) string {
	files := map[string]protoreflect.FileDescriptor{}
	collect(fd, files)
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

func newResolver(fd protoreflect.FileDescriptor) (*resolver, error) {
	files := map[string]protoreflect.FileDescriptor{}
	collect(fd, files)
	r := &resolver{}
	for _, f := range files {
		if err := r.contract.RegisterFile(f); err != nil {
			return nil, err
		}
	}
	return r, nil
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
