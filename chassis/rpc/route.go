package rpc

import (
	"context"
	"net/textproto"

	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
)

// Router splits the calls of a service between parts of its instances; *topology.Table is one. Route returns the host, the version, or both,
// that the instance of one call has in its registry metadata ("host", "version"); false when any instance will do. sticky returns the
// value of a metadata key of the call. When no instance of that part can be reached, the call goes to another.
//
// It is asked once for each call, and must not block.
type Router interface {
	Route(service string, sticky func(key string) string) (host, version string, ok bool)
}

// share is the part of the instances that a call is meant for; the zero one is all of them.
type share struct{ host, version string }

// share asks the router.
func (c *Client) share(ctx context.Context, service string) share {
	if p, ok := ctx.Value(pinKey{}).(pin); ok && p.service == service {
		return share{version: p.version}
	}
	if c.c.Router == nil {
		return share{}
	}
	host, version, ok := c.c.Router.Route(service, func(key string) string {
		md, _ := metadata.FromContext(ctx)
		return md[textproto.CanonicalMIMEHeaderKey(key)]
	})
	if !ok {
		return share{}
	}
	return share{host, version}
}

// has says whether an instance belongs to the share.
func (s share) has(n *registry.Node) bool {
	return (s.host == "" || n.Metadata["host"] == s.host) && (s.version == "" || n.Metadata["version"] == s.version)
}

// first moves the instances of the share before the others, and says how many they are.
func (s share) first(nodes []*registry.Node) ([]*registry.Node, int) {
	if s == (share{}) {
		return nodes, len(nodes)
	}
	mine, others := make([]*registry.Node, 0, len(nodes)), []*registry.Node(nil)
	for _, n := range nodes {
		if s.has(n) {
			mine = append(mine, n)
		} else {
			others = append(others, n)
		}
	}
	return append(mine, others...), len(mine)
}
