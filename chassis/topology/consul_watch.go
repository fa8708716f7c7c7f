package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	consulWait   = 5 * time.Minute // of one blocking query; Consul adds a sixteenth at most
	consulAnswer = 10 * time.Second
	consulAgain  = 500 * time.Millisecond
)

// consulWatch is what Watch remembers between two answers.
type consulWatch struct {
	*Consul
	index uint64
	away  bool            // no answer since the last good one
	last  map[string]Rule // what the watcher was told; nil at first
}

// Watch implements Store, with blocking queries. Rules that Consul knew before an outage and doesn't know after it, because it came back empty
// or with an older state of its data, are put back, as the registry puts back instances: what runs goes on as it was placed.
func (c *Consul) Watch(ctx context.Context, fn func(map[string]Rule, error)) error {
	w := consulWatch{Consul: c}
	for ctx.Err() == nil {
		pairs, changed, err := w.ask(ctx)
		if err == nil && !changed {
			continue
		}
		var refused error
		if err == nil && w.away && w.last != nil {
			if err = w.restore(ctx, pairs); forbidden(err) {
				err, refused = nil, err
			}
		}
		if errors.Is(err, errRestored) {
			continue // and read what it is now
		}
		if err != nil && ctx.Err() == nil {
			w.lost(ctx, err)
			_ = pause(ctx, consulAgain) // the loop looks at ctx
		}
		if err != nil {
			continue
		}
		if w.away {
			w.away = false
			c.log.InfoContext(ctx, "Consul is back", "query", "topology")
		}
		rules, wrong := c.decode(pairs)
		wrong = errors.Join(wrong, refused)
		fn(rules, wrong)
		w.remember(rules, wrong)
	}
	return ctx.Err()
}

// ask waits for a change, and reads it.
func (w *consulWatch) ask(ctx context.Context) (pairs api.KVPairs, changed bool, err error) {
	limit := consulAnswer
	if w.index > 0 {
		limit += consulWait + consulWait/16
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pairs, meta, err := w.kv.List(w.prefix, (&api.QueryOptions{WaitIndex: w.index, WaitTime: consulWait}).WithContext(ctx))
	if err != nil {
		return nil, false, err
	}
	index := max(meta.LastIndex, 1)
	switch {
	case index == w.index:
		return nil, false, nil
	case index < w.index:
		// Another Consul, or one that lost its data: ask anew. https://developer.hashicorp.com/consul/api-docs/features/blocking
		return nil, false, fmt.Errorf("its index went backwards, from %d to %d", w.index, index)
	}
	w.index = index
	return pairs, true, nil
}

// lost notes an outage, and logs its beginning. Who answers next may count from elsewhere.
func (w *consulWatch) lost(ctx context.Context, err error) {
	w.index = 0
	if w.away {
		return
	}
	w.away = true
	w.log.WarnContext(ctx, "lost Consul; keeping the last answer", "query", "topology", "error", err)
}

func (w *consulWatch) remember(rules map[string]Rule, wrong error) {
	next := maps.Clone(rules)
	if wrong != nil { // what isn't there may be what is wrong
		for module, r := range w.last {
			if _, ok := next[module]; !ok {
				next[module] = r
			}
		}
	}
	w.last = next
}

// errRestored says that Consul has other rules by now than those that were read.
var errRestored = errors.New("the rules were put back")

// forbidden says that Consul answered, and that this process may not write.
func forbidden(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusForbidden
}

// restore puts back what Consul lost. Every process that watches does so; the first one does it. What was changed since, by someone who found
// nothing there, stays. nil when nothing was lost.
func (w *consulWatch) restore(ctx context.Context, pairs api.KVPairs) error {
	have := map[string]*api.KVPair{}
	for _, p := range pairs {
		have[p.Key] = p
	}
	lost := 0
	for module, r := range w.last {
		var index uint64
		if p := have[w.current(module)]; p != nil {
			now, err := decodeRule(p.Value)
			if err != nil || now.Version >= r.Version || now.Time.After(r.Time) {
				continue
			}
			index = p.ModifyIndex
		}
		lost++
		ok, _, err := w.write(r, index, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return fmt.Errorf("put back the rule of %s, version %d: %w", module, r.Version, err)
		}
		if ok {
			w.log.WarnContext(ctx, "Consul had lost a rule of the topology; it is back as it was", "module", module, "version", r.Version)
		}
	}
	if lost > 0 {
		w.index = 0
		return errRestored
	}
	return nil
}
