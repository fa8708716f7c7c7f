package host

import (
	"context"
	"fmt"
	"io"

	"go-micro.dev/v4/client"

	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// clientConfig is what the clients of a host have in common.
func clientConfig(c Config, local *rpc.Local) rpc.ClientConfig {
	return rpc.ClientConfig{
		Registry: c.Registry, Broker: c.Broker, Log: c.Log, Metrics: c.Metrics, Local: local, Router: c.Topology, Careless: c.Careless,
	}
}

// guarded is a client that a caller with a name calls by: a partition knows the name.
func guarded(c Config, name string, cl client.Client) client.Client {
	cl = c.Inject.Client(name, cl)
	if c.Guard != nil {
		return c.Guard.Wrap(cl)
	}
	return cl
}

// introduce gives Client's users their identity: the client that New has made goes, since an identity may have to be waited for.
func (h *Host) introduce(ctx context.Context) error {
	if h.c.Mesh == nil || h.c.As == "" {
		return nil
	}
	identity, err := h.c.Mesh.Identity(ctx, h.c.As)
	if err != nil {
		return err
	}
	own, err := h.clientOf(identity)
	if err != nil {
		return err
	}
	old := h.client
	h.client, h.calls = own, guarded(h.c, h.c.As, own)
	return old.Close()
}

// caller is a client that the host closes, and knows how its peers fare.
type caller interface {
	client.Client
	io.Closer
	Instances() []rpc.Instance
}

// ownClient is a client that shows an identity.
type ownClient struct {
	*rpc.Client
	keep func() // ends the renewal of its connections
}

// Close implements io.Closer.
func (o *ownClient) Close() error {
	o.keep()
	return o.Client.Close()
}

// identity is nil without a mesh.
func (h *Host) identity(ctx context.Context, module string) (*mesh.Identity, error) {
	if h.c.Mesh == nil {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	return h.c.Mesh.Identity(ctx, module)
}

func (h *Host) clientOf(identity *mesh.Identity) (*ownClient, error) {
	conf := clientConfig(h.c, h.local)
	identity.Client(&conf)
	cl, err := rpc.NewClient(conf)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	return &ownClient{cl, identity.Renew(cl)}, nil
}

// callsOf is what a module calls others with: the host's client, or one of its own that shows its identity. Calls within the process are
// direct either way, and shown to nobody.
func (h *Host) callsOf(r *running, identity *mesh.Identity) (client.Client, error) {
	if identity == nil {
		return h.ClientOf(r.name), nil
	}
	own, err := h.clientOf(identity)
	if err != nil {
		return nil, err
	}
	r.client = own
	return guarded(h.c, r.name, own), nil
}
