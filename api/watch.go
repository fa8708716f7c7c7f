package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go-micro.dev/v4/registry"
)

const (
	rebuildAgain = 250 * time.Millisecond // after the registry didn't answer
	rebuildEvery = 30 * time.Second       // however quiet the registry is
	watchAgain   = 250 * time.Millisecond
	settle       = 10 * time.Millisecond
)

// Run keeps the routes current until ctx ends; then it returns nil. While the registry doesn't answer, the last good routes stay.
func (g *Gateway) Run(ctx context.Context) error {
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		g.watch(ctx, g.changes)
	}()
	followed := g.follow(ctx)
	defer func() {
		followed()
		g.endTraffic()
		<-watching
		g.contract.running.Wait()
	}()
	silent := false
	for ctx.Err() == nil {
		retry, err := g.rebuild(ctx)
		if err != nil && ctx.Err() == nil && !silent {
			g.c.Log.WarnContext(ctx, "the routes stay as they are", "error", err)
		}
		silent = err != nil
		pause := rebuildEvery
		switch {
		case err != nil:
			pause = rebuildAgain
		case retry > 0:
			pause = min(pause, retry)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-g.changes:
			wait(ctx, settle) // changes come in swarms
		}
		timer.Stop()
	}
	return nil
}

// watch tells changes of every change of the registry.
func (g *Gateway) watch(ctx context.Context, changes chan<- struct{}) {
	for ctx.Err() == nil {
		w, err := g.c.Registry.Watch(registry.WatchContext(ctx))
		if err != nil {
			g.c.Log.WarnContext(ctx, "can't watch the registry, will try again", "error", err)
			wait(ctx, watchAgain)
			continue
		}
		poke(changes) // what was missed
		stop := context.AfterFunc(ctx, w.Stop)
		for {
			_, err := w.Next()
			if err != nil {
				break
			}
			poke(changes)
		}
		if stop() {
			w.Stop()
		}
		wait(ctx, watchAgain)
	}
}

func poke(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default: // one is waiting already
	}
}

// rebuild reads the registry and makes the routes. retry is when a contract that they lack may be had; 0 when there is none.
func (g *Gateway) rebuild(ctx context.Context) (retry time.Duration, err error) {
	list, err := g.read()
	if err != nil {
		return 0, err
	}
	list, retry, first := g.contract.fill(ctx, list)
	before, said := g.table.Load(), g.overrides.Load()
	if before == nil && (first || said == nil) {
		return retry, nil // not ready before every service was asked once, and the operator too
	}
	t, err := newTable(list, before, g.info(), *said)
	if err != nil {
		return retry, fmt.Errorf("make the routes: %w", err)
	}
	g.swap(ctx, before, t)
	return retry, nil
}

// read returns what every service in the registry offers, the services by name.
func (g *Gateway) read() ([]*offer, error) {
	names, err := g.c.Registry.ListServices()
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	var list []*offer
	seen := map[string]bool{Name: true}
	if err := g.count(); err != nil {
		return nil, err
	}
	for _, s := range names {
		if seen[s.Name] {
			continue
		}
		seen[s.Name] = true
		versions, err := g.c.Registry.GetService(s.Name)
		if errors.Is(err, registry.ErrNotFound) {
			continue // it has just left
		}
		if err != nil {
			return nil, fmt.Errorf("read service %s: %w", s.Name, err)
		}
		list = append(list, offers(s.Name, versions)...)
	}
	slices.SortStableFunc(list, func(a, b *offer) int { return strings.Compare(a.service, b.service) })
	return list, nil
}

// count looks how many gateways there are.
func (g *Gateway) count() error {
	versions, err := g.c.Registry.GetService(Name)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return fmt.Errorf("read service %s: %w", Name, err)
	}
	n := 0
	for _, v := range versions {
		n += len(v.Nodes)
	}
	g.gateways.Store(int32(min(n, 1<<20)))
	return nil
}

// swap puts a table in force, and tells of what is new in it.
func (g *Gateway) swap(ctx context.Context, before, t *table) {
	g.table.Store(t)
	g.hold.end()
	g.metrics.routes.Set(float64(len(t.endpoints)))
	if before == nil {
		before = &table{}
	}
	if before.etag != t.etag {
		g.c.Log.InfoContext(ctx, "routes changed", "routes", len(t.endpoints))
	}
	for text, kind := range t.leftOut {
		if _, told := before.leftOut[text]; told {
			continue
		}
		g.c.Log.WarnContext(ctx, "a route was left out", "error", text)
		if kind == conflict {
			g.metrics.conflicts.Inc()
		}
	}
}
