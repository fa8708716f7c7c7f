package openapi

import (
	"encoding/json"

	"google.golang.org/protobuf/reflect/protoreflect"
)

const inDefs = "#/$defs/"

// Schema is the JSON Schema (2020-12) of a message with all that it refers to; nil when its JSON is no object.
func Schema(md protoreflect.MessageDescriptor) (json.RawMessage, error) {
	b := &builder{prefix: inDefs, schemas: object{}}
	s := wellKnown(md.FullName())
	if s == nil {
		s = b.properties(md, nil, true)
	}
	if s["type"] != "object" {
		return nil, nil
	}
	if len(b.schemas) > 0 {
		s["$defs"] = b.schemas
	}
	return json.Marshal(s)
}

// Summary is the first sentence of what a method says of itself, and Comment all of it.
func Summary(md protoreflect.MethodDescriptor) string { return summary(md) }

// Comment is what the contract says of a descriptor; "" when the source was not kept.
func Comment(d protoreflect.Descriptor) string { return comment(d) }
