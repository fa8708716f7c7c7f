package host

import (
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
)

// ClientOf is Client for a caller with a name, by which a partition knows it.
func (h *Host) ClientOf(caller string) client.Client {
	return guarded(h.c, caller, h.client)
}

// injected lets faults be injected into the calls of a module, where the operator allows it.
func (h *Host) injected(m Module, s server.Server) error {
	if h.c.Inject == nil {
		return nil
	}
	return s.Init(server.WrapHandler(h.c.Inject.Server(m.Name)))
}
