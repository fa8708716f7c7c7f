package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"

	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	refreshEvery = 10 * time.Second // however quiet the watcher is
	watchAgain   = 500 * time.Millisecond
	lookAgain    = 100 * time.Millisecond // between lookups of a service that isn't there
)

// target is a service that is called: its instances, kept current by a watcher, and its retry budget.
type target struct {
	name   string
	c      *Client
	budget *budget
	judge  judge
	snap   atomic.Pointer[[]*registry.Service] // the last good answer of the registry
	ready  chan struct{}                       // closed after the first answer

	mu     sync.Mutex
	looked time.Time
}

// target returns the target for a service, and begins to watch it at the first call.
func (c *Client) target(name string) (*target, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, problem.Unavailable("CLIENT_CLOSED", "the client is closed")
	}
	t, ok := c.targets[name]
	if !ok {
		t = &target{name: name, c: c, budget: newBudget(time.Now, c.metrics, name), ready: make(chan struct{})}
		t.budget.endless = c.c.Careless
		c.targets[name] = t
		c.loops.Go(t.run)
	}
	return t, nil
}

// targetOf is target for a method that remembers it.
func (c *Client) targetOf(info *methodInfo, name string) (*target, error) {
	if t := info.target.Load(); t != nil && t.name == name && c.ctx.Err() == nil {
		return t, nil
	}
	t, err := c.target(name)
	if err == nil {
		info.target.Store(t)
	}
	return t, err
}

// run watches until the client is closed.
func (t *target) run() {
	first := true
	for t.c.ctx.Err() == nil {
		w, err := t.c.c.Registry.Watch(registry.WatchService(t.name), registry.WatchContext(t.c.ctx))
		t.refresh()
		if first {
			close(t.ready)
			first = false
		}
		if err != nil {
			t.c.c.Log.Warn("can't watch the registry, will try again", "service", t.name, "error", err)
			wait(t.c.ctx, watchAgain)
			continue
		}
		t.follow(w)
		wait(t.c.ctx, watchAgain)
	}
}

// follow refreshes at every change until the watcher ends.
func (t *target) follow(w registry.Watcher) {
	changes, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := w.Next(); err != nil {
				return
			}
			select {
			case changes <- struct{}{}:
			default: // one is waiting already
			}
		}
	}()
	defer func() {
		w.Stop()
		<-ended
	}()
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.c.ctx.Done():
			return
		case <-ended:
			return
		case <-changes:
		case <-tick.C:
		}
		t.refresh()
	}
}

// refresh asks the registry. When it doesn't answer, what was known stays.
func (t *target) refresh() {
	services, err := t.c.c.Registry.GetService(t.name)
	if errors.Is(err, registry.ErrNotFound) {
		services, err = nil, nil
	}
	if err != nil {
		t.c.c.Log.Warn("the registry doesn't answer, going on with what is known", "service", t.name, "error", err)
		return
	}
	t.snap.Store(&services)
}

// instances are the nodes that a call may go to.
func (t *target) instances(o *client.CallOptions) []*registry.Node {
	if len(o.Address) > 0 {
		nodes := make([]*registry.Node, len(o.Address))
		for i, a := range o.Address {
			nodes[i] = &registry.Node{Id: a, Address: a}
		}
		return nodes
	}
	p := t.snap.Load()
	if p == nil {
		return nil
	}
	services := *p
	if len(o.SelectOptions) > 0 {
		var so selector.SelectOptions
		for _, opt := range o.SelectOptions {
			opt(&so)
		}
		for _, filter := range so.Filters {
			services = filter(services)
		}
	}
	if len(services) == 1 {
		return services[0].Nodes
	}
	var nodes []*registry.Node
	for _, s := range services {
		nodes = append(nodes, s.Nodes...)
	}
	return nodes
}

// alone says that there is no other instance to go to.
func (t *target) alone(o *client.CallOptions) bool { return len(t.instances(o)) < 2 }

// others says that there is an instance that was not tried.
func (t *target) others(o *client.CallOptions, tried []string) bool {
	return slices.ContainsFunc(t.instances(o), func(n *registry.Node) bool { return !slices.Contains(tried, n.Address) })
}

// known returns the instances, after waiting for the registry's first answer, and after a second look when there is none.
func (t *target) known(ctx context.Context, o *client.CallOptions) ([]*registry.Node, error) {
	if len(o.Address) == 0 {
		select {
		case <-t.ready:
		default:
			select {
			case <-t.ready:
			case <-ctx.Done():
				return nil, problem.From(ctx.Err())
			}
		}
	}
	nodes := t.instances(o)
	if len(nodes) == 0 && t.mayLook() {
		t.refresh()
		nodes = t.instances(o)
	}
	if len(nodes) == 0 {
		return nil, problem.Unavailable(ReasonNotInRegistry, "no instance of %s is in the registry", t.name)
	}
	return nodes, nil
}

func (t *target) mayLook() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.looked) < lookAgain {
		return false
	}
	t.looked = time.Now()
	return true
}

// pick chooses an instance: of two at random the one with fewer running calls, among those that were not tried, and of those among the ones
// that the call is meant for; ejected ones only when there are no others; a tried one again only when there is no other at all.
func (t *target) pick(ctx context.Context, o *client.CallOptions, info *methodInfo, meant share, tried []string) (*registry.Node, error) {
	nodes, err := t.known(ctx, o)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	now := t.c.clock.now()
	nodes, mine := meant.first(nodes)
	var best, good, bad []*registry.Node
	for i, n := range nodes {
		switch {
		case slices.Contains(tried, n.Address):
		case t.ejected(n, info, now):
			bad = append(bad, n)
		case i < mine:
			best = append(best, n)
		default:
			good = append(good, n)
		}
	}
	for _, from := range [][]*registry.Node{best, good, bad, nodes} {
		if len(from) > 0 {
			return t.lessBusy(from), nil
		}
	}
	return nil, problem.Unavailable(ReasonNotInRegistry, "no instance of %s is in the registry", t.name)
}

func (t *target) ejected(n *registry.Node, info *methodInfo, now time.Time) bool {
	t.c.mu.Lock()
	p, ok := t.c.peers[t.c.peerID(t.name, n)]
	t.c.mu.Unlock()
	return ok && (p.ejectedAt(now) || p.outlierAt(info.path, now))
}

// lessBusy is the power of two choices: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001.
func (t *target) lessBusy(nodes []*registry.Node) *registry.Node {
	i := rand.IntN(len(nodes)) //nolint:gosec // not a secret
	if len(nodes) == 1 {
		return nodes[i]
	}
	j := rand.IntN(len(nodes) - 1) //nolint:gosec // not a secret
	if j >= i {
		j++
	}
	if t.busy(nodes[j]) < t.busy(nodes[i]) {
		return nodes[j]
	}
	return nodes[i]
}

func (t *target) busy(n *registry.Node) int64 {
	t.c.mu.Lock()
	p, ok := t.c.peers[t.c.peerID(t.name, n)]
	t.c.mu.Unlock()
	if !ok {
		return 0
	}
	return p.running.Load()
}
