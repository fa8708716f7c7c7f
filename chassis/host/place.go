package host

import (
	"context"
	"slices"
	"time"

	"github.com/cleavehq/cleave/chassis/topology"
)

const (
	placeEvery  = 250 * time.Millisecond // looks at the registry, however quiet the topology is
	orphanAfter = 3 * time.Second
	stopWithin  = 30 * time.Second
	maxPause    = 30 * time.Second // between starts of a module that fails
)

// Follow starts and stops this host's modules as the topology changes, until ctx ends; call it after Start. Without a topology it just
// waits.
//
// A module that the topology places elsewhere is stopped when an instance is in the registry there: it leaves the registry, goes on serving
// until callers have noticed, finishes what runs, and ends its workers. While nobody runs it there it stays; and a module that nobody has
// run for 3 s, wherever it is placed, is started by every host that can run it, until one that the topology names is back. Two hosts that
// run one module for a while do no harm: leases share its work.
//
// A module that can't be started is tried again, with growing pauses.
func (h *Host) Follow(ctx context.Context) {
	if h.c.Topology == nil {
		<-ctx.Done()
		return
	}
	changes, end := h.c.Topology.Changes()
	defer end()
	tick := time.NewTicker(placeEvery)
	defer tick.Stop()
	p := placement{h: h, missing: map[string]time.Time{}, failed: map[string]failure{}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
		case <-tick.C:
		}
		p.settle(ctx)
	}
}

// placement is what Follow remembers between two looks.
type placement struct {
	h       *Host
	missing map[string]time.Time // since when nobody runs a module
	failed  map[string]failure
}

type failure struct {
	count int
	until time.Time
}

// settle compares what runs with what is to run, and changes at most what it must.
func (p *placement) settle(ctx context.Context) {
	h := p.h
	h.placing.Lock()
	defer h.placing.Unlock()
	if h.closed {
		return
	}
	rules := h.c.Topology.Rules()
	for _, m := range h.c.Modules {
		rule := rules[m.Name]
		here, placed := h.runs(m.Name), rule.Places(h.c.HostName)
		switch {
		case here && !placed && h.elsewhere(rule):
			h.c.Log.InfoContext(ctx, "module leaves this host, as the topology says", "module", m.Name, "version", rule.Version, "reason", rule.Reason)
			h.stop(ctx, m.Name)
		case !here && (placed || p.orphaned(m.Name)):
			p.start(ctx, m, rule, placed)
		}
	}
}

// orphaned says that nobody has run the module for a while.
func (p *placement) orphaned(module string) bool {
	services, err := p.h.c.Registry.GetService(module)
	if err == nil && len(services) > 0 {
		delete(p.missing, module)
		return false
	}
	since, ok := p.missing[module]
	if !ok {
		since = time.Now()
		p.missing[module] = since
	}
	return time.Since(since) >= orphanAfter
}

func (p *placement) start(ctx context.Context, m Module, rule topology.Rule, placed bool) {
	f := p.failed[m.Name]
	if time.Now().Before(f.until) {
		return
	}
	p.h.c.Log.InfoContext(ctx, "module comes to this host", "module", m.Name, "placed", placed, "version", rule.Version, "reason", rule.Reason)
	if err := p.h.run(ctx, m); err != nil {
		f.count++
		f.until = time.Now().Add(min(time.Second<<min(f.count-1, 5), maxPause))
		p.failed[m.Name] = f
		p.h.c.Log.ErrorContext(ctx, "module can't be started here, will try again", "module", m.Name, "error", err)
		return
	}
	delete(p.failed, m.Name)
	delete(p.missing, m.Name)
}

// runs says whether a module runs here.
func (h *Host) runs(module string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.running, func(r *running) bool { return r.name == module })
}

// elsewhere says whether an instance is in the registry on a host that the rule names.
func (h *Host) elsewhere(rule topology.Rule) bool {
	services, err := h.c.Registry.GetService(rule.Module)
	if err != nil {
		return false
	}
	for _, s := range services {
		for _, n := range s.Nodes {
			if name := n.Metadata["host"]; name != h.c.HostName && rule.Places(name) {
				return true
			}
		}
	}
	return false
}

// stop drains one module and ends it. What it fails with is logged: the module is gone all the same.
func (h *Host) stop(ctx context.Context, module string) {
	h.mu.Lock()
	i := slices.IndexFunc(h.running, func(r *running) bool { return r.name == module })
	r := h.running[i]
	h.running = slices.Delete(h.running, i, i+1)
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := r.close(ctx); err != nil {
		h.c.Log.WarnContext(ctx, "module left, and not in good order", "module", module, "error", err)
		return
	}
	h.c.Log.InfoContext(ctx, "module left", "module", module)
}
