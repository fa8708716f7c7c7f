package host

import (
	"context"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// admit lets a module's calls in; nil when nothing stops them.
func (h *Host) admit(module string) func(context.Context, protoreflect.MethodDescriptor, string) (func(error), error) {
	gate := h.c.Gate
	if gate == nil {
		return nil
	}
	return func(ctx context.Context, md protoreflect.MethodDescriptor, priority string) (func(error), error) {
		return gate.Enter(ctx, module, gate.Level(md, priority))
	}
}
