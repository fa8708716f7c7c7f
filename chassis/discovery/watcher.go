package discovery

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"go-micro.dev/v4/registry"
)

var _ registry.Watcher = (*watcher)(nil)

// watcher compares the board with what it has told so far. It holds no queue of events, so a reader that never comes back
// costs nothing and a slow one catches up in one step.
type watcher struct {
	board   *board
	service string
	signal  chan struct{}
	exit    chan struct{}
	once    sync.Once
	release func() bool

	mu      sync.Mutex
	seen    map[string]*entry
	pending []*registry.Result
}

// Next blocks until something changes and returns it, or registry.ErrWatcherStopped after Stop.
func (w *watcher) Next() (*registry.Result, error) {
	for {
		select {
		case <-w.exit:
			return nil, registry.ErrWatcherStopped
		default:
		}
		if r := w.pop(); r != nil {
			return r, nil
		}
		select {
		case <-w.signal:
		case <-w.exit:
			return nil, registry.ErrWatcherStopped
		}
	}
}

// pop returns the next result, computing new ones when none wait.
func (w *watcher) pop() *registry.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) == 0 {
		now := w.board.state(w.service)
		w.pending = compare(w.seen, now)
		w.seen = now
	}
	if len(w.pending) == 0 {
		return nil
	}
	r := w.pending[0]
	w.pending = w.pending[1:]
	return r
}

// Stop ends the watcher and unblocks Next. A second call does nothing.
func (w *watcher) Stop() {
	w.once.Do(func() {
		w.board.mu.Lock()
		delete(w.board.watchers, w)
		select {
		case <-w.exit:
		default:
			close(w.exit)
		}
		release := w.release
		w.board.mu.Unlock()
		if release != nil {
			release()
		}
	})
}

func (w *watcher) wake() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// compare says how now differs from seen. Within a name what came is told before what went, so that a reader which
// applies one result after another never sees a moment without instances that no one lived through.
func compare(seen, now map[string]*entry) []*registry.Result {
	names := make(map[string]bool)
	for name, e := range seen {
		if now[name] != e {
			names[name] = true
		}
	}
	for name, e := range now {
		if seen[name] != e {
			names[name] = true
		}
	}
	var out []*registry.Result
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, compareName(versions(seen[name]), versions(now[name]))...)
	}
	return out
}

func versions(e *entry) map[string]*registry.Service {
	out := make(map[string]*registry.Service)
	if e != nil {
		for _, s := range e.versions {
			out[s.Version] = s
		}
	}
	return out
}

func compareName(old, now map[string]*registry.Service) []*registry.Result {
	var came, went []*registry.Result
	for _, version := range slices.Sorted(maps.Keys(now)) {
		s := now[version]
		before, known := old[version]
		switch {
		case !known:
			came = append(came, &registry.Result{Action: registry.Create.String(), Service: clone([]*registry.Service{s})[0]})
		case grew(before, s):
			came = append(came, &registry.Result{Action: registry.Update.String(), Service: clone([]*registry.Service{s})[0]})
		}
	}
	for _, version := range slices.Sorted(maps.Keys(old)) {
		before := old[version]
		gone := missing(before, now[version])
		if len(gone) == 0 {
			continue
		}
		c := *before
		c.Nodes = gone
		went = append(went, &registry.Result{Action: registry.Delete.String(), Service: clone([]*registry.Service{&c})[0]})
	}
	return append(came, went...)
}

// grew reports whether now has a node that old lacks or has otherwise, or other endpoints.
func grew(old, now *registry.Service) bool {
	if !reflect.DeepEqual(old.Endpoints, now.Endpoints) {
		return true
	}
	nodes := make(map[string]*registry.Node, len(old.Nodes))
	for _, n := range old.Nodes {
		nodes[n.Id] = n
	}
	for _, n := range now.Nodes {
		if !reflect.DeepEqual(nodes[n.Id], n) {
			return true
		}
	}
	return false
}

// missing returns old's nodes that now (nil is none) lacks.
func missing(old, now *registry.Service) []*registry.Node {
	have := make(map[string]bool)
	if now != nil {
		for _, n := range now.Nodes {
			have[n.Id] = true
		}
	}
	var out []*registry.Node
	for _, n := range old.Nodes {
		if !have[n.Id] {
			out = append(out, n)
		}
	}
	return out
}
