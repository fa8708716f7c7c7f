// Package prototest makes contracts for tests, in a few lines and without a compiler.
package prototest

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	// What a contract may import.
	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	_ "github.com/cleavehq/cleave/proto/cleave/v1"
)

// File is a contract in the making, of the package test.v1. Types are written as in a proto: "int64", "Inner" for a message of the file,
// "#Colour" for an enum of it, "google.protobuf.Timestamp" for one from elsewhere.
type File struct {
	t testing.TB
	p *descriptorpb.FileDescriptorProto
}

// New begins a file.
func New(t testing.TB) *File {
	return &File{t, &descriptorpb.FileDescriptorProto{
		Name: proto.String("test.proto"), Package: proto.String("test.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{
			"buf/validate/validate.proto", "cleave/v1/options.proto", "google/api/annotations.proto", "google/protobuf/any.proto", "google/protobuf/duration.proto",
			"google/protobuf/empty.proto", "google/protobuf/field_mask.proto", "google/protobuf/struct.proto", "google/protobuf/timestamp.proto",
			"google/protobuf/wrappers.proto",
		},
	}}
}

// Enum adds an enum; its values count from 0.
func (f *File) Enum(name string, values ...string) *File {
	e := &descriptorpb.EnumDescriptorProto{Name: &name}
	for i, v := range values {
		e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(v), Number: proto.Int32(int32(i))})
	}
	f.p.EnumType = append(f.p.EnumType, e)
	return f
}

// Message adds a message. A field is "[repeated|optional|map|oneof:NAME] TYPE NAME [OPTIONS]", numbered from 1 in their order; the key of a
// map is a string, and OPTIONS are FieldOptions in protobuf's text format: "string name [buf.validate.field]{required:true}".
func (f *File) Message(name string, fields ...string) *File {
	m := &descriptorpb.DescriptorProto{Name: &name}
	var optional []*descriptorpb.FieldDescriptorProto
	for i, line := range fields {
		label, rest, _ := strings.Cut(line, " ")
		oneof, inOneof := strings.CutPrefix(label, "oneof:")
		if !inOneof && label != "repeated" && label != "optional" && label != "map" {
			label, rest = "", line
		}
		words := append(strings.SplitN(rest, " ", 3), "")
		fd := field(words[1], words[0], i+1)
		fd.Options = &descriptorpb.FieldOptions{}
		f.text(words[2], fd.Options)
		switch {
		case label == "repeated":
			fd.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		case label == "optional":
			fd.Proto3Optional = proto.Bool(true)
			optional = append(optional, fd)
		case label == "map":
			entry := strings.ToUpper(words[1][:1]) + words[1][1:] + "Entry"
			m.NestedType = append(m.NestedType, &descriptorpb.DescriptorProto{
				Name: &entry, Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
				Field: []*descriptorpb.FieldDescriptorProto{field("key", "string", 1), field("value", words[0], 2)},
			})
			fd.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
			fd.Type, fd.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".test.v1."+name+"."+entry)
		case inOneof:
			fd.OneofIndex = proto.Int32(oneofOf(m, oneof))
		}
		m.Field = append(m.Field, fd)
	}
	for _, fd := range optional { // a oneof each, after all others
		fd.OneofIndex = proto.Int32(oneofOf(m, "_"+fd.GetName()))
	}
	f.p.MessageType = append(f.p.MessageType, m)
	return f
}

func oneofOf(m *descriptorpb.DescriptorProto, name string) int32 {
	for i, o := range m.GetOneofDecl() {
		if o.GetName() == name {
			return int32(i)
		}
	}
	m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: &name})
	return int32(len(m.GetOneofDecl()) - 1)
}

func field(name, kind string, number int) *descriptorpb.FieldDescriptorProto {
	fd := &descriptorpb.FieldDescriptorProto{
		Name: &name, Number: proto.Int32(int32(number)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	enum, isEnum := strings.CutPrefix(kind, "#")
	scalar, isScalar := descriptorpb.FieldDescriptorProto_Type_value["TYPE_"+strings.ToUpper(kind)]
	switch {
	case isScalar:
		fd.Type = descriptorpb.FieldDescriptorProto_Type(scalar).Enum()
	case isEnum:
		fd.Type, fd.TypeName = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum(), proto.String(".test.v1."+enum)
	case strings.Contains(kind, "."):
		fd.Type, fd.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String("."+kind)
	default:
		fd.Type, fd.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".test.v1."+kind)
	}
	return fd
}

// full is the whole name of a type, which is of the file unless there is a dot in it.
func full(name string) string {
	if strings.Contains(name, ".") {
		return "." + name
	}
	return ".test.v1." + name
}

// Service adds a service. A method is "NAME IN OUT [OPTIONS]": IN and OUT are messages, with "stream:" before them when they are streams, and
// OPTIONS are MethodOptions. One with a route is exposed to everybody, unless it says otherwise: `Get In Out [google.api.http]{get:"/v1/x"}`.
func (f *File) Service(name string, methods ...string) *File {
	s := &descriptorpb.ServiceDescriptorProto{Name: &name}
	for _, line := range methods {
		words := append(strings.SplitN(line, " ", 4), "")
		in, clientStream := strings.CutPrefix(words[1], "stream:")
		out, serverStream := strings.CutPrefix(words[2], "stream:")
		m := &descriptorpb.MethodDescriptorProto{
			Name: &words[0], InputType: proto.String(full(in)), OutputType: proto.String(full(out)),
			ClientStreaming: &clientStream, ServerStreaming: &serverStream, Options: &descriptorpb.MethodOptions{},
		}
		options := words[3]
		if strings.Contains(options, "google.api.http") && !strings.Contains(options, "cleave.v1.method") {
			options += ` [cleave.v1.method]{expose:true public:true}`
		}
		f.text(options, m.Options)
		s.Method = append(s.Method, m)
	}
	f.p.Service = append(f.p.Service, s)
	return f
}

func (f *File) text(options string, into proto.Message) {
	f.t.Helper()
	if err := prototext.Unmarshal([]byte(options), into); err != nil {
		f.t.Fatalf("%s: %v", options, err)
	}
}

// Build links the file.
func (f *File) Build() protoreflect.FileDescriptor {
	f.t.Helper()
	fd, err := protodesc.NewFile(f.p, protoregistry.GlobalFiles)
	if err != nil {
		f.t.Fatal(err)
	}
	return fd
}
