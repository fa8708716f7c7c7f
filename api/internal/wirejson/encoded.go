package wirejson

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoiface"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Type makes messages of one type that stay in their wire format.
type Type struct {
	dynamic protoreflect.MessageType
	zero    protoreflect.Message
	methods protoiface.Methods
}

// NewType makes a Type.
func NewType(md protoreflect.MessageDescriptor) *Type {
	t := dynamicpb.NewMessageType(md)
	return &Type{dynamic: t, zero: t.Zero(), methods: protoiface.Methods{
		Size: size, Marshal: marshal, Unmarshal: unmarshal, Merge: merge, CheckInitialized: checkInitialized,
	}}
}

// New makes an empty message.
func (t *Type) New() *Encoded { return &Encoded{Message: t.zero, t: t} }

// Wrap makes the message whose wire format is wire, which it keeps.
func (t *Type) Wrap(wire []byte) *Encoded { return &Encoded{Message: t.zero, t: t, wire: wire} }

// Encoded is a message in its wire format. It is a proto.Message that any client can send and receive: proto.Marshal and proto.Unmarshal copy
// its bytes as they are, right or wrong. To read its fields by reflection decodes it each time; to set one panics.
type Encoded struct {
	protoreflect.Message // empty, and read-only
	t                    *Type
	wire                 []byte
}

var (
	_ proto.Message        = (*Encoded)(nil)
	_ protoreflect.Message = (*Encoded)(nil)
)

// Wire is the wire format; not a copy.
func (e *Encoded) Wire() []byte { return e.wire }

// Reset empties the message.
func (e *Encoded) Reset() { e.wire = nil }

// ProtoReflect implements proto.Message.
func (e *Encoded) ProtoReflect() protoreflect.Message { return e }

// Interface implements protoreflect.Message.
func (e *Encoded) Interface() protoreflect.ProtoMessage { return e }

// New implements protoreflect.Message.
func (e *Encoded) New() protoreflect.Message { return e.t.New() }

// IsValid implements protoreflect.Message.
func (e *Encoded) IsValid() bool { return true }

// decoded is the message as a dynamic one, or as much of it as can be read.
func (e *Encoded) decoded() protoreflect.Message {
	m := e.t.dynamic.New()
	_ = proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(e.wire, m.Interface()) // reflection has no errors
	return m
}

// Range implements protoreflect.Message.
func (e *Encoded) Range(f func(protoreflect.FieldDescriptor, protoreflect.Value) bool) {
	e.decoded().Range(f)
}

// Has implements protoreflect.Message.
func (e *Encoded) Has(fd protoreflect.FieldDescriptor) bool { return e.decoded().Has(fd) }

// Get implements protoreflect.Message.
func (e *Encoded) Get(fd protoreflect.FieldDescriptor) protoreflect.Value { return e.decoded().Get(fd) }

// WhichOneof implements protoreflect.Message.
func (e *Encoded) WhichOneof(od protoreflect.OneofDescriptor) protoreflect.FieldDescriptor {
	return e.decoded().WhichOneof(od)
}

// GetUnknown implements protoreflect.Message.
func (e *Encoded) GetUnknown() protoreflect.RawFields { return e.decoded().GetUnknown() }

// ProtoMethods implements protoreflect.Message: package proto calls these instead of going through the fields.
func (e *Encoded) ProtoMethods() *protoiface.Methods { return &e.t.methods }

func size(in protoiface.SizeInput) protoiface.SizeOutput {
	e, _ := in.Message.(*Encoded) // in.Message is what ProtoMethods was called of
	return protoiface.SizeOutput{Size: len(e.wire)}
}

func marshal(in protoiface.MarshalInput) (protoiface.MarshalOutput, error) {
	e, _ := in.Message.(*Encoded)
	return protoiface.MarshalOutput{Buf: append(in.Buf, e.wire...)}, nil
}

// unmarshal merges: bytes behind bytes mean the merged message.
func unmarshal(in protoiface.UnmarshalInput) (protoiface.UnmarshalOutput, error) {
	e, _ := in.Message.(*Encoded)
	e.wire = append(e.wire, in.Buf...)
	return protoiface.UnmarshalOutput{Flags: protoiface.UnmarshalInitialized}, nil
}

func merge(in protoiface.MergeInput) protoiface.MergeOutput {
	e, _ := in.Destination.(*Encoded)
	wire, err := proto.MarshalOptions{AllowPartial: true}.MarshalAppend(e.wire, in.Source.Interface())
	if err != nil {
		return protoiface.MergeOutput{}
	}
	e.wire = wire
	return protoiface.MergeOutput{Flags: protoiface.MergeComplete}
}

func checkInitialized(protoiface.CheckInitializedInput) (protoiface.CheckInitializedOutput, error) {
	return protoiface.CheckInitializedOutput{}, nil
}
