package rpc

import (
	"context"
	"maps"
	"net/textproto"
	"strings"

	"go-micro.dev/v4/metadata"
	grpcmetadata "google.golang.org/grpc/metadata"

	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// incoming puts the call's gRPC metadata into the context as go-micro's, with canonical keys. A key with many values has them joined.
func incoming(ctx context.Context) (context.Context, map[string]string) {
	in, _ := grpcmetadata.FromIncomingContext(ctx)
	md := make(metadata.Metadata, len(in))
	for k, v := range in {
		if k == telemetry.Header || !ofTheWire(k) {
			md[textproto.CanonicalMIMEHeaderKey(k)] = strings.Join(v, ", ")
		}
	}
	return metadata.NewContext(ctx, md), maps.Clone(md)
}

// outgoing puts go-micro's metadata and the trace into the context as gRPC's. What a handler was sent goes on to those that it calls:
// that is go-micro's rule.
func outgoing(ctx context.Context) context.Context {
	md, _ := metadata.FromContext(ctx)
	out := make(grpcmetadata.MD, len(md)+1)
	for k, v := range md {
		if k = strings.ToLower(k); !ofTheWire(k) && !spent(ctx, k, v) {
			out[k] = []string{v}
		}
	}
	out.Set(telemetry.Header, telemetry.Traceparent(telemetry.Ensure(ctx)))
	return grpcmetadata.NewOutgoingContext(ctx, out)
}

// keyHeader is package idempotency's Header.
const keyHeader = "Idempotency-Key"

type receivedKey struct{}

// received remembers the Idempotency-Key that a handler was sent. It is of that command alone: what the handler calls is another command,
// and goes without a key unless the handler gives it one of its own.
func (s *Server) received(ctx context.Context) context.Context {
	var key string
	if c, ok := ctx.(*callctx.Context); ok {
		key = c.Get(keyHeader) // without making the rest
	} else {
		key = s.keys.Metadata(ctx)[keyHeader]
	}
	if key == "" {
		return ctx
	}
	return context.WithValue(ctx, receivedKey{}, key)
}

// spent says whether metadata to be sent is the key that the caller was sent.
func spent(ctx context.Context, k, v string) bool {
	return strings.EqualFold(k, keyHeader) && ctx.Value(receivedKey{}) == v
}

// onward copies the metadata that go with a call: canonical keys, and nothing of one connection or one call. It returns nil when there is
// nothing.
func onward(ctx context.Context, md metadata.Metadata) metadata.Metadata {
	return filtered(md, func(k, v string) bool { return spent(ctx, k, v) })
}

// arriving copies the metadata that came with a call, in the same way.
func arriving(md metadata.Metadata) metadata.Metadata {
	return filtered(md, func(string, string) bool { return false })
}

func filtered(md metadata.Metadata, without func(k, v string) bool) metadata.Metadata {
	if len(md) == 0 {
		return nil
	}
	var out metadata.Metadata
	for k, v := range md {
		if !ofTheWire(strings.ToLower(k)) && !without(k, v) {
			if out == nil {
				out = make(metadata.Metadata, len(md)+1)
			}
			out[textproto.CanonicalMIMEHeaderKey(k)] = v
		}
	}
	return out
}

// ofTheWire says whether a metadata key is about one connection or one call, and so must not go on to the next. Keys are lower-case.
func ofTheWire(k string) bool {
	switch k {
	case "", "content-type", "content-length", "user-agent", "te", "timeout", "local", "remote", "connection", "host", "accept-encoding",
		"transfer-encoding", "upgrade", "keep-alive", telemetry.Header:
		return true
	}
	return strings.HasPrefix(k, ":") || strings.HasPrefix(k, "grpc-") || strings.HasPrefix(k, "micro-") ||
		strings.HasPrefix(k, "x-micro-") || strings.HasSuffix(k, "-bin")
}
