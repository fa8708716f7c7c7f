package transcode

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// resolver finds the types of google.protobuf.Any.
type resolver interface {
	protoregistry.ExtensionTypeResolver
	protoregistry.MessageTypeResolver
}

func (b *Binding) resolver() resolver {
	if b.Types == nil {
		return protoregistry.GlobalTypes
	}
	return either{b.Types}
}

// either looks into a contract first, then into what is linked in: the well-known types.
type either struct{ contract resolver }

// FindMessageByName implements protoregistry.MessageTypeResolver.
func (e either) FindMessageByName(n protoreflect.FullName) (protoreflect.MessageType, error) {
	if t, err := e.contract.FindMessageByName(n); err == nil {
		return t, nil
	}
	return protoregistry.GlobalTypes.FindMessageByName(n)
}

// FindMessageByURL implements protoregistry.MessageTypeResolver.
func (e either) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if t, err := e.contract.FindMessageByURL(url); err == nil {
		return t, nil
	}
	return protoregistry.GlobalTypes.FindMessageByURL(url)
}

// FindExtensionByName implements protoregistry.ExtensionTypeResolver.
func (e either) FindExtensionByName(n protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return e.contract.FindExtensionByName(n)
}

// FindExtensionByNumber implements protoregistry.ExtensionTypeResolver.
func (e either) FindExtensionByNumber(m protoreflect.FullName, n protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return e.contract.FindExtensionByNumber(m, n)
}
