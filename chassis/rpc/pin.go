package rpc

import (
	"context"

	"go-micro.dev/v4/metadata"
)

// MirrorHeader is the metadata of a call that is a copy of another one, whose answer nobody waits for. Only an edge may set it.
const MirrorHeader = "Cleave-Mirror"

type pinKey struct{}

// pin is the version of a service that a call is meant for.
type pin struct{ service, version string }

// WithVersion returns a context whose calls of a service are meant for its instances of a version, as registry metadata have it, whatever the
// Router says. As with its shares, when none of them can be reached the call goes to another. The context of one call has one pin; it doesn't go
// on to what the service calls over a wire.
func WithVersion(ctx context.Context, service, version string) context.Context {
	return context.WithValue(ctx, pinKey{}, pin{service, version})
}

// Mirrored says whether the call that a handler was sent is a copy of another one: what it does is not to be told to anybody.
func Mirrored(ctx context.Context) bool {
	v, _ := metadata.Get(ctx, MirrorHeader)
	return v != ""
}
