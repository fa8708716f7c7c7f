package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
)

// tag marks what a go-micro registry wrote; ListServices names nothing else.
const tag = "go-micro"

var errClosed = errors.New("the registry is closed")

// GetService returns the instances of name that pass their checks, from memory. The first call for a name waits for
// Consul, at most ConsulConfig.Timeout, and fails when it does not answer; later calls never wait. registry.ErrNotFound
// when Consul knows no passing instance.
func (c *Consul) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	if s, err := c.board.get(name); err == nil {
		return s, nil
	}
	if err := c.load(name); err != nil {
		return nil, fmt.Errorf("get service %s from consul: %w", name, err)
	}
	return c.board.get(name)
}

// ListServices returns every go-micro service with a passing instance, from memory; the first call waits as GetService does.
func (c *Consul) ListServices(...registry.ListOption) ([]*registry.Service, error) {
	if err := c.load(""); err != nil {
		return nil, fmt.Errorf("list services of consul: %w", err)
	}
	return c.board.list(), nil
}

// Watch tells changes of one service (registry.WatchService) or of every go-micro service; the package comment says in what form. An
// instance whose check turns critical is a "delete" of that node; when it passes again it is an "update" or a "create".
func (c *Consul) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	var wo registry.WatchOptions
	for _, o := range opts {
		o(&wo)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("watch consul: %w", errClosed)
	}
	c.startLocked()
	if wo.Service == "" {
		c.followAllLocked()
	} else {
		c.followLocked(wo.Service).pinned = true
	}
	return c.board.watch(wo), nil
}

// load makes sure that name ("" is every go-micro service) has been asked for once. Names that Consul does not list cost
// no query, or a caller's typing errors would each leave one behind.
func (c *Consul) load(name string) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil // the last snapshot stays readable
	}
	list := c.startLocked()
	c.mu.Unlock()

	ctx, cancel := context.WithTimeout(c.ctx, c.conf.Timeout)
	defer cancel()
	if err := list.wait(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	var waits []*feed[[]instance]
	if name == "" {
		c.followAllLocked()
		for n, f := range c.feeds {
			if c.known[n] {
				waits = append(waits, f)
			}
		}
	} else if _, ok := c.known[name]; ok {
		waits = append(waits, c.followLocked(name))
	} else if f := c.feeds[name]; f != nil {
		waits = append(waits, f)
	}
	c.mu.Unlock()
	for _, f := range waits {
		if err := f.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startLocked begins to follow the list of services.
func (c *Consul) startLocked() *feed[map[string]bool] {
	if c.listing != nil {
		return c.listing
	}
	client := c.client
	c.listing = newFeed(feedConfig[map[string]bool]{
		what: "services", grace: c.conf.Grace, log: c.log, level: slog.LevelWarn,
		fetch: func(ctx context.Context, q *api.QueryOptions) (map[string]bool, *api.QueryMeta, error) {
			all, meta, err := client.Catalog().Services(q.WithContext(ctx))
			out := make(map[string]bool, len(all))
			for name, tags := range all {
				if name != "consul" {
					out[name] = slices.Contains(tags, tag)
				}
			}
			return out, meta, err
		},
		merge: func(old, fresh map[string]bool) map[string]bool {
			out := maps.Clone(old)
			maps.Copy(out, fresh)
			return out
		},
		publish:  c.setKnown,
		returned: c.repair,
	})
	c.goLocked(c.listing.run)
	return c.listing
}

// setKnown takes a new list: new names are followed when somebody wants all, and names that went are let go.
func (c *Consul) setKnown(known map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, f := range c.feeds {
		if _, ok := known[name]; !ok && !f.pinned {
			f.stop()
			delete(c.feeds, name)
			c.board.put(name, nil, false)
		}
	}
	c.known = known
	if c.all {
		c.followAllLocked()
	}
}

func (c *Consul) followAllLocked() {
	c.all = true
	for name, ours := range c.known {
		if ours {
			c.followLocked(name)
		}
	}
}

// followLocked begins to follow one name.
func (c *Consul) followLocked(name string) *feed[[]instance] {
	if f := c.feeds[name]; f != nil {
		return f
	}
	client := c.client
	var f *feed[[]instance]
	f = newFeed(feedConfig[[]instance]{
		what: name, grace: c.conf.Grace, log: c.log, level: slog.LevelDebug, // the list speaks for all
		fetch: func(ctx context.Context, q *api.QueryOptions) ([]instance, *api.QueryMeta, error) {
			entries, meta, err := client.Health().Service(name, "", true, q.WithContext(ctx))
			out := make([]instance, 0, len(entries))
			for _, e := range entries {
				out = append(out, decodeEntry(e))
			}
			return out, meta, err
		},
		merge: merge,
		publish: func(list []instance) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.feeds[name] == f { // an answer that was on its way when the name was let go must not bring it back
				hidden := !slices.ContainsFunc(list, func(in instance) bool { return !in.foreign })
				c.board.put(name, group(name, list), hidden)
			}
		},
	})
	c.feeds[name] = f
	c.goLocked(f.run)
	return f
}

func (c *Consul) goLocked(run func(context.Context)) {
	if c.closed {
		return
	}
	c.wg.Go(func() { run(c.ctx) })
}

// longPoll is how long Consul may hold a blocking query.
const longPoll = 5 * time.Minute
