package rpc

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Numbers of the fields of descriptor.proto that a path of a SourceCodeInfo.Location is made of.
const (
	fileMessages, fileEnums, fileServices                    = 4, 5, 6
	messageFields, messageNested, messageEnums, messageOneof = 2, 3, 4, 8
	enumValues, serviceMethods                               = 2, 2
)

// commented is the descriptor of a file with the comments that there are for it; some says whether there are any.
func commented(fd protoreflect.FileDescriptor, comments map[string]string) (_ *descriptorpb.FileDescriptorProto, some bool) {
	c := commenter{texts: comments}
	walk(fd.Messages(), c.message, fileMessages)
	walk(fd.Enums(), c.enum, fileEnums)
	walk(fd.Services(), func(sd protoreflect.ServiceDescriptor, path ...int32) {
		c.add(sd, path)
		walk(sd.Methods(), func(md protoreflect.MethodDescriptor, path ...int32) { c.add(md, path) }, append(path, serviceMethods)...)
	}, fileServices)
	if len(c.locations) == 0 {
		return nil, false
	}
	p := protodesc.ToFileDescriptorProto(fd)
	p.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: c.locations}
	return p, true
}

type commenter struct {
	texts     map[string]string
	locations []*descriptorpb.SourceCodeInfo_Location
}

func (c *commenter) add(d protoreflect.Descriptor, path []int32) {
	if text := c.texts[string(d.FullName())]; text != "" {
		c.locations = append(c.locations, &descriptorpb.SourceCodeInfo_Location{Path: path, Span: []int32{0, 0, 0}, LeadingComments: proto.String(" " + text + "\n")})
	}
}

func (c *commenter) message(md protoreflect.MessageDescriptor, path ...int32) {
	c.add(md, path)
	walk(md.Fields(), func(fd protoreflect.FieldDescriptor, path ...int32) { c.add(fd, path) }, append(path, messageFields)...)
	walk(md.Oneofs(), func(od protoreflect.OneofDescriptor, path ...int32) { c.add(od, path) }, append(path, messageOneof)...)
	walk(md.Enums(), c.enum, append(path, messageEnums)...)
	walk(md.Messages(), c.message, append(path, messageNested)...)
}

func (c *commenter) enum(ed protoreflect.EnumDescriptor, path ...int32) {
	c.add(ed, path)
	walk(ed.Values(), func(vd protoreflect.EnumValueDescriptor, path ...int32) { c.add(vd, path) }, append(path, enumValues)...)
}

// walk calls fn with each descriptor of a list and its path.
func walk[D any, L interface {
	Len() int
	Get(int) D
}](list L, fn func(D, ...int32), at ...int32) {
	for i := range list.Len() {
		path := make([]int32, 0, len(at)+1)
		fn(list.Get(i), append(append(path, at...), int32(i))...)
	}
}
