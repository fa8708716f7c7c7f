package api

import (
	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/api/internal/guard"
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

// levelled gives a call the level of its API key, else that of its method.
func (x *exchange) levelled(md metadata.Metadata, e *endpoint, who guard.Caller) {
	if x.g.c.Gate != nil {
		md[resilience.PriorityHeader] = x.g.c.Gate.Level(e.desc, who.Priority).String()
	}
}
