package api

import (
	"context"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/resilience"
)

// shed refuses a unary call that would not be let in, before anything is verified, read or decoded for it. It gives the others their level,
// which goes with them to every service.
func (x *exchange) shed(e *endpoint) error {
	gate := x.g.c.Gate
	if gate == nil || e.desc.IsStreamingServer() || e.desc.IsStreamingClient() {
		return nil
	}
	return gate.Refuses(e.service, gate.Level(e.desc, ""))
}

// levelled gives a call the level of its method.
func (x *exchange) levelled(ctx context.Context, e *endpoint) context.Context {
	if x.g.c.Gate == nil {
		return ctx
	}
	return resilience.WithLevel(ctx, x.g.c.Gate.Level(e.desc, ""))
}

// send makes a unary call, when its turn has come. A slow client that still sends its message holds nobody's place.
func (x *exchange) send(ctx context.Context, e *endpoint, in, out proto.Message) (err error) {
	if gate := x.g.c.Gate; gate != nil {
		leave, full := gate.Enter(ctx, e.service, gate.Level(e.desc, ""))
		if full != nil {
			return full
		}
		defer func() { leave(err) }()
	}
	c := x.g.c.Client
	return c.Call(ctx, c.NewRequest(e.service, e.name, in), out, append(e.callOptions(), client.WithRequestTimeout(x.timeout(e)))...)
}
