package transcode

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/api/internal/wirejson"
)

// Event is an event of a contract: a message that no method has.
type Event struct {
	Desc   protoreflect.MessageDescriptor
	answer *wirejson.Message
	types  resolver
}

// NewEvent makes it with the codec of its contract. types is the contract's, too; may be nil.
func NewEvent(md protoreflect.MessageDescriptor, c *Codec, types *dynamicpb.Types) *Event {
	return &Event{Desc: md, answer: c.answers.Message(md), types: (&Binding{Types: types}).resolver()}
}

// JSON writes the wire format of an event as an answer's JSON is written, on one line.
func (e *Event) JSON(wire []byte) ([]byte, error) { return e.answer.JSON(wire) }

// Parse reads an event from JSON. Fields that it doesn't have are an error unless lax says that they are passed over. The error is a problem.
func (e *Event) Parse(body []byte, lax bool) (*dynamicpb.Message, error) {
	m := dynamicpb.NewMessage(e.Desc)
	o := protojson.UnmarshalOptions{DiscardUnknown: lax, Resolver: e.types, RecursionLimit: maxDepth}
	if err := o.Unmarshal(body, m); err != nil {
		return nil, bodyError(err)
	}
	if err := proto.CheckInitialized(m); err != nil {
		return nil, bodyError(err)
	}
	return m, nil
}
