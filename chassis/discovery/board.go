package discovery

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"

	"go-micro.dev/v4/registry"
)

// board is a snapshot with watchers. What lies in it is never changed, only replaced.
type board struct {
	mu       sync.RWMutex
	services map[string]*entry
	watchers map[*watcher]struct{}
	closed   bool
}

// entry is one service name's versions. A new value means a change, so pointers can be compared.
type entry struct {
	versions []*registry.Service
	hidden   bool // found by its name, and named in no list
}

func newBoard() *board {
	return &board{services: make(map[string]*entry), watchers: make(map[*watcher]struct{})}
}

// put replaces what is known of name; an empty list removes it. Watchers are woken only when something differs.
func (b *board) put(name string, versions []*registry.Service, hidden bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.services[name]
	switch {
	case len(versions) == 0 && old == nil:
		return
	case len(versions) == 0:
		delete(b.services, name)
	case old != nil && old.hidden == hidden && reflect.DeepEqual(old.versions, versions):
		return
	default:
		b.services[name] = &entry{versions: versions, hidden: hidden}
	}
	for w := range b.watchers {
		w.wake()
	}
}

// get returns name's versions, or registry.ErrNotFound when there is none: copies of the services and nodes, because
// go-micro's selectors filter them in place.
func (b *board) get(name string) ([]*registry.Service, error) {
	b.mu.RLock()
	e := b.services[name]
	b.mu.RUnlock()
	if e == nil {
		return nil, registry.ErrNotFound
	}
	return clone(e.versions), nil
}

// list returns every service that is not hidden, ordered by name and version.
func (b *board) list() []*registry.Service {
	all := b.state("")
	out := make([]*registry.Service, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, clone(all[name].versions)...)
	}
	return out
}

// state returns what is known of service, or with "" of every one that is not hidden.
func (b *board) state(service string) map[string]*entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make(map[string]*entry)
	if service != "" {
		if e := b.services[service]; e != nil {
			out[service] = e
		}
		return out
	}
	for name, e := range b.services {
		if !e.hidden {
			out[name] = e
		}
	}
	return out
}

// watch adds a watcher, which ends with Stop, with the options' context or with close.
func (b *board) watch(wo registry.WatchOptions) *watcher {
	w := &watcher{board: b, service: wo.Service, signal: make(chan struct{}, 1), exit: make(chan struct{})}
	w.wake()
	b.mu.Lock()
	defer b.mu.Unlock() // Stop waits for it, so a context that has ended already finds everything in place
	if b.closed {
		close(w.exit)
		return w
	}
	b.watchers[w] = struct{}{}
	if wo.Context != nil {
		w.release = context.AfterFunc(wo.Context, w.Stop)
	}
	return w
}

// close stops every watcher; what was known stays readable.
func (b *board) close() {
	b.mu.Lock()
	b.closed = true
	all := make([]*watcher, 0, len(b.watchers))
	for w := range b.watchers {
		all = append(all, w)
	}
	b.mu.Unlock()
	for _, w := range all {
		w.Stop()
	}
}

// clone copies services and nodes, not what they point to.
func clone(in []*registry.Service) []*registry.Service {
	out := make([]*registry.Service, len(in))
	for i, s := range in {
		c := *s
		c.Nodes = make([]*registry.Node, len(s.Nodes))
		for j, n := range s.Nodes {
			m := *n
			c.Nodes[j] = &m
		}
		out[i] = &c
	}
	return out
}
