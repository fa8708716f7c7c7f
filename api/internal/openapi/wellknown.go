package openapi

import "google.golang.org/protobuf/reflect/protoreflect"

// wellKnown is the JSON of a well-known type; nil for any other message.
func wellKnown(name protoreflect.FullName) object {
	switch name {
	case "google.protobuf.Timestamp":
		return object{"type": "string", "format": "date-time"}
	case "google.protobuf.Duration":
		return object{"type": "string", "pattern": `^-?[0-9]+(\.[0-9]{1,9})?s$`}
	case "google.protobuf.FieldMask":
		return object{"type": "string", "description": "Names of fields, separated by commas: displayName,price.minor."}
	case "google.protobuf.StringValue":
		return object{"type": "string"}
	case "google.protobuf.BytesValue":
		return object{"type": "string", "contentEncoding": "base64"}
	case "google.protobuf.Int64Value":
		return numberSchema(protoreflect.Int64Kind, nil)
	case "google.protobuf.UInt64Value":
		return numberSchema(protoreflect.Uint64Kind, nil)
	case "google.protobuf.Int32Value":
		return numberSchema(protoreflect.Int32Kind, nil)
	case "google.protobuf.UInt32Value":
		return numberSchema(protoreflect.Uint32Kind, nil)
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue":
		return numberSchema(protoreflect.DoubleKind, nil)
	case "google.protobuf.BoolValue":
		return object{"type": "boolean"}
	case "google.protobuf.Empty":
		return object{"type": "object"}
	case "google.protobuf.Struct":
		return object{"type": "object", "additionalProperties": true}
	case "google.protobuf.Any":
		return object{
			"type": "object", "additionalProperties": true, "required": []string{"@type"},
			"properties": object{"@type": object{"type": "string", "description": "The name of the message that the rest is: type.googleapis.com/shop.type.v1.Money."}},
		}
	case "google.protobuf.ListValue":
		return object{"type": "array", "items": object{}}
	case "google.protobuf.Value":
		return object{}
	}
	return nil
}
