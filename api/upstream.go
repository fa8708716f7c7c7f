package api

import (
	"context"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/chassis/rpc"
)

const (
	// canaryHeader names a version of a service's instances that a request is meant for.
	canaryHeader = "X-Canary"
	// canaryScope is what its sender has to be granted; from anybody else it means nothing.
	canaryScope = "gateway.canary"
)

// ask makes a unary call for a caller, when its turn has come: every one of the edge goes by here. A slow client that still sends its message holds
// nobody's place. in is not changed, and is kept for as long as a copy of the call runs. then makes of the answer what is sent, before the place is
// given back, since that takes a processor, too.
func (x *exchange) ask(ctx context.Context, e *endpoint, who guard.Caller, in, out proto.Message, then func() error) (err error) {
	g := x.g
	if gate := g.c.Gate; gate != nil {
		leave, full := gate.Enter(ctx, e.service, gate.Level(e.desc, who.Priority))
		if full != nil {
			return full
		}
		defer func() { leave(err) }()
	}
	c := g.c.Client
	opts := append(e.callOptions(), client.WithRequestTimeout(x.timeout(e)))
	err = c.Call(ctx, c.NewRequest(e.service, e.name, in), out, opts...)
	if m := e.policy.Mirror.Value; m.Percent > 0 {
		g.mirrors.copied(ctx, e, m, in, x.timeout(e))
	}
	if err != nil {
		return err
	}
	return then()
}

// pinned returns ctx, meant for the version that the request asks for, when its sender may ask for one; the answer says that it was.
func (x *exchange) pinned(ctx context.Context, e *endpoint) context.Context {
	version := x.r.Header.Get(canaryHeader)
	if version == "" || !saneID(version) || !x.who.Granted(canaryScope) {
		return ctx
	}
	x.version = version
	x.w.Header().Set(canaryHeader, version)
	return rpc.WithVersion(ctx, e.service, version)
}
