package topology

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// Table answers from memory where a call goes. It is safe for concurrent use. A nil Table has no rules.
type Table struct {
	log   *slog.Logger
	rules atomic.Pointer[map[string]*compiled]

	mu      sync.Mutex
	current map[string]Rule
	waiting map[chan struct{}]struct{}
}

// compiled is a rule with its sum.
type compiled struct {
	Rule
	sum int
}

// NewTable returns a table without rules. log may be nil.
func NewTable(log *slog.Logger) *Table {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Table{log: log, waiting: map[chan struct{}]struct{}{}}
}

// Follow keeps the table as the store has it, until ctx ends. ready is called after the first answer of the store; it may be nil.
func (t *Table) Follow(ctx context.Context, s Store, ready func()) error {
	var once sync.Once
	return s.Watch(ctx, func(rules map[string]Rule, wrong error) {
		if wrong != nil {
			t.log.WarnContext(ctx, "a rule of the topology is wrong; the last good one stays", "error", wrong)
		}
		t.set(rules, wrong)
		if ready != nil {
			once.Do(ready)
		}
	})
}

// Set replaces the rules: for a program that has them from elsewhere.
func (t *Table) Set(rules map[string]Rule) { t.set(rules, nil) }

func (t *Table) set(rules map[string]Rule, wrong error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := make(map[string]Rule, len(rules))
	for module, r := range rules {
		if err := r.Validate(); err != nil {
			t.log.Warn("a rule of the topology is wrong; the last good one stays", "error", err)
			wrong = errors.Join(wrong, err)
			continue
		}
		next[module] = r
	}
	if wrong != nil { // what isn't there may be what is wrong
		for module, r := range t.current {
			if _, ok := next[module]; !ok {
				next[module] = r
			}
		}
	}
	index := make(map[string]*compiled, len(next))
	for module, r := range next {
		c := &compiled{Rule: r}
		for _, s := range r.Shares {
			c.sum += s.Weight
		}
		if c.sum > 0 {
			index[module] = c
		}
	}
	t.current = next
	t.rules.Store(&index)
	for ch := range t.waiting {
		select {
		case ch <- struct{}{}:
		default: // it has not looked yet
		}
	}
}

// Rules returns a copy of what is in force.
func (t *Table) Rules() map[string]Rule {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.current)
}

// Changes returns a channel that has something in it after each change, and a function that ends that. It starts full.
func (t *Table) Changes() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	ch <- struct{}{}
	t.mu.Lock()
	t.waiting[ch] = struct{}{}
	t.mu.Unlock()
	return ch, func() {
		t.mu.Lock()
		delete(t.waiting, ch)
		t.mu.Unlock()
	}
}

// Places says whether a host that can run the module is to run it.
func (t *Table) Places(module, host string) bool {
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current[module].Places(host)
}

// Route chooses the share of a call, by weight, and returns the host and the version of the instances that it is meant for. sticky returns
// the value of a metadata key; it is asked only when the rule has one. false when the module is under no rule: any instance will do. It
// allocates nothing.
func (t *Table) Route(module string, sticky func(key string) string) (host, version string, ok bool) {
	if t == nil {
		return "", "", false
	}
	index := t.rules.Load()
	if index == nil {
		return "", "", false
	}
	r := (*index)[module]
	if r == nil {
		return "", "", false
	}
	at := -1
	if r.Sticky != "" {
		if value := sticky(r.Sticky); value != "" {
			at = place(value, r.sum)
		}
	}
	if at < 0 {
		at = rand.IntN(r.sum) //nolint:gosec // not a secret
	}
	for _, s := range r.Shares {
		if at -= s.Weight; at < 0 {
			return s.Host, s.ModuleVersion, true
		}
	}
	return "", "", false // not reached: at was below the sum
}

// place maps a value onto [0, sum), evenly. Scaled rather than taken modulo, so that a share at the front that grows takes in new values and
// loses none.
func place(value string, sum int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(value)) // it never fails
	x := h.Sum64()
	x ^= x >> 33 // FNV's high bits are poor for short values; Murmur3's finalizer mixes them, https://github.com/aappleby/smhasher
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return int((x >> 32) * uint64(sum) >> 32) //nolint:gosec // below sum, which is at most MaxShares * MaxWeight
}
