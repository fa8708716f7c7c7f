package discovery

import (
	"sort"

	"go-micro.dev/v4/registry"
)

// instance is one node together with what its registration says of its service. go-micro groups nodes by version; a
// snapshot is easier to keep flat.
type instance struct {
	version   string
	endpoints []*registry.Endpoint
	node      *registry.Node
}

// group builds go-micro's shape: one Service per version, versions and nodes in order. The endpoints are those of the
// first node that has any: nodes of one version have the same.
func group(name string, list []instance) []*registry.Service {
	sort.Slice(list, func(i, j int) bool { return list[i].node.Id < list[j].node.Id })
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
	sort.Slice(out, func(i, j int) bool { return out[i].Version < out[j].Version })
	return out
}

// merge adds to fresh the instances of old that it lacks, and says whether there were any.
func merge(old, fresh []instance) ([]instance, bool) {
	have := make(map[string]bool, len(fresh))
	for _, in := range fresh {
		have[in.node.Id] = true
	}
	out := append([]instance(nil), fresh...)
	for _, in := range old {
		if !have[in.node.Id] {
			out = append(out, in)
		}
	}
	return out, len(out) > len(fresh)
}
