package fault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleavehq/cleave/chassis/kv"
)

// InjectorConfig is what an Injector needs.
type InjectorConfig struct {
	// Log gets each fault that comes or goes; nil discards.
	Log *slog.Logger
	// Metrics receives faults_injected_total, by module, method and kind; may be nil.
	Metrics prometheus.Registerer
	// Abort cuts the connection by which a call came, and says whether it did: rpc.Abort. Nil: an abort is an error.
	Abort func(ctx context.Context) bool
	// Over is told when faults that were in force have expired or were removed: what they made others believe of the methods that they hit, such as
	// circuits that they have opened, can be forgotten. hit says whether they did hit a method, and no other fault does still. It must not block;
	// may be nil.
	Over func(hit func(module, method string) bool)
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Injector does to calls what rules say. A nil one does nothing and costs nothing: whoever may not inject has none. Without rules in force a call
// costs one atomic load. It may be used by many goroutines.
type Injector struct {
	c        InjectorConfig
	injected *prometheus.CounterVec
	rules    atomic.Pointer[[]Rule] // in force; nil when there are none

	mu    sync.Mutex
	known map[string]Rule  // in the store, and good
	told  map[string]error // what is wrong with others
}

// NewInjector fails when its metrics can't be registered.
func NewInjector(c InjectorConfig) (*Injector, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	i := &Injector{
		c: c, known: map[string]Rule{}, told: map[string]error{},
		injected: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "faults_injected_total", Help: "Faults that operators had injected into calls."},
			[]string{"module", "method", "kind"}),
	}
	if c.Metrics != nil {
		if err := c.Metrics.Register(i.injected); err != nil {
			return nil, fmt.Errorf("fault: %w", err)
		}
	}
	return i, nil
}

// Follow keeps to the rules of a store until ctx ends. Rules that have expired are out of force at that moment, and who may deletes them from the store.
func (i *Injector) Follow(ctx context.Context, store kv.Store) {
	change := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		_ = store.Watch(ctx, func(all map[string][]byte) { // it ends with ctx
			i.take(ctx, all)
			select {
			case change <- struct{}{}:
			default:
			}
		})
	})
	timer := time.NewTimer(MaxLife)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-change:
		case <-timer.C:
		}
		expired, next := i.put(ctx)
		for _, r := range expired {
			if err := store.Delete(ctx, r.ID); err != nil && ctx.Err() == nil && !errors.Is(err, kv.ErrForbidden) {
				i.c.Log.WarnContext(ctx, "a fault that has expired can't be deleted; it is out of force all the same", "fault", r.ID, "error", err)
			}
		}
		timer.Reset(next)
	}
}

// take reads the documents of a store.
func (i *Injector) take(ctx context.Context, all map[string][]byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, told := map[string]Rule{}, map[string]error{}
	for name, document := range all {
		r, err := Decode(name, document)
		if err != nil {
			told[name] = err
			if i.told[name] == nil {
				i.c.Log.WarnContext(ctx, "a fault is wrong and isn't injected", "fault", name, "error", err)
			}
			continue
		}
		known[name] = r
	}
	i.known, i.told = known, told
}

// put puts in force what hasn't expired, and says what has, and when the next one will.
func (i *Injector) put(ctx context.Context) (expired []Rule, next time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.c.Now()
	next = MaxLife
	var live []Rule
	for _, r := range i.known {
		if left := r.Expires.Sub(now); left <= 0 {
			expired = append(expired, r)
			continue
		} else if left > MaxLife { // by a clock that is ahead of ours
			r.Expires = now.Add(MaxLife)
		}
		next = min(next, r.Expires.Sub(now))
		live = append(live, r)
	}
	slices.SortFunc(live, func(a, b Rule) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID)) })
	live = live[:min(len(live), MaxRules)]
	before := i.rules.Load()
	if len(live) == 0 {
		i.rules.Store(nil)
	} else {
		i.rules.Store(&live)
	}
	if over := i.log(ctx, before, live); len(over) > 0 && i.c.Over != nil {
		i.c.Over(func(module, method string) bool {
			of := func(r Rule) bool { return r.of(module, method) }
			return slices.ContainsFunc(over, of) && !slices.ContainsFunc(live, of)
		})
	}
	return expired, max(next, time.Millisecond)
}

// log tells what has begun and what is over, and returns the latter.
func (i *Injector) log(ctx context.Context, before *[]Rule, after []Rule) (over []Rule) {
	var was []Rule
	if before != nil {
		was = *before
	}
	in := func(list []Rule, id string) bool {
		return slices.ContainsFunc(list, func(r Rule) bool { return r.ID == id })
	}
	for _, r := range after {
		if !in(was, r.ID) {
			i.c.Log.WarnContext(ctx, "a fault is injected from now on", "fault", r.ID, "what", r.String(), "author", r.Author, "until", r.Expires)
		}
	}
	for _, r := range was {
		if !in(after, r.ID) {
			over = append(over, r)
			i.c.Log.WarnContext(ctx, "a fault is over", "fault", r.ID, "what", r.String())
		}
	}
	return over
}

// Active are the rules in force, the oldest first.
func (i *Injector) Active() []Rule {
	if i == nil {
		return nil
	}
	now := i.c.Now()
	out := []Rule{}
	if all := i.rules.Load(); all != nil {
		for _, r := range *all {
			if r.Expires.After(now) {
				out = append(out, r)
			}
		}
	}
	return out
}

// of says whether it is about a method.
func (r Rule) of(module, method string) bool {
	return r.Module == module && (r.Method == "" || r.Method == method)
}

// hit draws whether a call is hit by a rule of one of these kinds.
func (i *Injector) hit(module, method, caller string, kinds ...Kind) (Rule, bool) {
	all := i.rules.Load()
	if all == nil {
		return Rule{}, false
	}
	now := i.c.Now()
	for _, r := range *all {
		if slices.Contains(kinds, r.Kind) && r.of(module, method) && (r.Caller == "" || r.Caller == caller) &&
			now.Before(r.Expires) && (r.Share >= 100 || rand.Float64()*100 < r.Share) { //nolint:gosec // chance, not a secret
			i.injected.WithLabelValues(module, method, string(r.Kind)).Inc()
			return r, true
		}
	}
	return Rule{}, false
}

// ServeHTTP answers with what may be injected here and what is, as JSON.
func (i *Injector) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	out := struct {
		Allowed bool              `json:"allowed"`
		Faults  []Rule            `json:"faults"`
		Wrong   map[string]string `json:"wrong,omitempty"`
	}{Allowed: i != nil, Faults: []Rule{}}
	if i != nil {
		out.Faults, out.Wrong = i.Active(), map[string]string{}
		i.mu.Lock()
		for name, err := range i.told {
			out.Wrong[name] = err.Error()
		}
		i.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(out) //nolint:errchkjson // whoever asked has gone
}

// Add checks a rule and writes it, after the expired ones are out of the way.
func Add(ctx context.Context, store kv.Store, r Rule) error {
	if err := r.Check(); err != nil {
		return err
	}
	rules, err := List(ctx, store, r.Created)
	if err != nil {
		return err
	}
	if len(rules) >= MaxRules {
		return fmt.Errorf("there are %d faults already", len(rules))
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return store.Put(ctx, r.ID, b)
}

// List are the rules in a store that have not expired at now, the oldest first. Those that have are deleted. Documents that are no rules are left
// out, and told in an error beside the list.
func List(ctx context.Context, store kv.Store, now time.Time) ([]Rule, error) {
	all, err := store.Read(ctx)
	if err != nil {
		return nil, err
	}
	out := []Rule{}
	var errs []error
	for name, document := range all {
		r, err := Decode(name, document)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !r.Expires.After(now):
			errs = append(errs, store.Delete(ctx, name))
		default:
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID)) })
	return out, errors.Join(errs...)
}
