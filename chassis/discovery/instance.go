package discovery

import (
	"cmp"
	"slices"

	"go-micro.dev/v4/registry"
)

// instance is one node together with what its registration says of its service. go-micro groups nodes by version; a
// snapshot is easier to keep flat.
type instance struct {
	version   string
	foreign   bool // registered by another tool
	endpoints []*registry.Endpoint
	node      *registry.Node
}

// group builds go-micro's shape: one Service per version, versions and nodes in order. The endpoints are those of the
// first node that has any: nodes of one version have the same.
func group(name string, list []instance) []*registry.Service {
	slices.SortFunc(list, func(a, b instance) int { return cmp.Compare(a.node.Id, b.node.Id) })
	byVersion := make(map[string]*registry.Service)
	var out []*registry.Service
	for _, in := range list {
		s, ok := byVersion[in.version]
		if !ok {
			s = &registry.Service{Name: name, Version: in.version}
			byVersion[in.version] = s
			out = append(out, s)
		}
		if len(s.Endpoints) == 0 {
			s.Endpoints = in.endpoints
		}
		s.Nodes = append(s.Nodes, in.node)
	}
	slices.SortFunc(out, func(a, b *registry.Service) int { return cmp.Compare(a.Version, b.Version) })
	return out
}

// merge adds to fresh the instances of old that it lacks.
func merge(old, fresh []instance) []instance {
	have := make(map[string]bool, len(fresh))
	for _, in := range fresh {
		have[in.node.Id] = true
	}
	out := slices.Clone(fresh)
	for _, in := range old {
		if !have[in.node.Id] {
			out = append(out, in)
		}
	}
	return out
}
