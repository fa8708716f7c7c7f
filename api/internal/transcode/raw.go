package transcode

import (
	"net/url"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Raw is a body that goes to the service byte by byte, whatever it is.
type Raw struct {
	ContentType string
	Data        []byte
	// Header are the request's headers by their canonical names; values of one name are joined by ", ".
	Header map[string]string
}

// IsRaw says that the body is a google.api.HttpBody: it is not JSON, but any bytes.
func (b *Binding) IsRaw() bool {
	if b.Body == nil {
		return false
	}
	m := b.Body.last().Message()
	return m != nil && m.FullName() == "google.api.HttpBody" && !b.Body.last().IsList()
}

// RawRequest makes the message of a request whose body IsRaw. When the message has a field `map<string, string> headers`, the headers go there:
// what signs a body stands in them.
func (b *Binding) RawRequest(values []string, query url.Values, raw Raw) (*dynamicpb.Message, error) {
	m, err := b.Request(values, query, nil)
	if err != nil {
		return nil, err
	}
	body := m.Mutable(b.Body.last()).Message()
	fields := body.Descriptor().Fields()
	body.Set(fields.ByName("content_type"), protoreflect.ValueOfString(raw.ContentType))
	body.Set(fields.ByName("data"), protoreflect.ValueOfBytes(raw.Data))
	if fd := b.Input.Fields().ByName("headers"); fd != nil && fd.IsMap() &&
		fd.MapKey().Kind() == protoreflect.StringKind && fd.MapValue().Kind() == protoreflect.StringKind {
		headers := m.Mutable(fd).Map()
		for name, value := range raw.Header {
			headers.Set(protoreflect.ValueOfString(name).MapKey(), protoreflect.ValueOfString(value))
		}
	}
	return m, nil
}
