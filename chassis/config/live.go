package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LiveConfig says who is told of changes. The zero value tells nobody.
type LiveConfig struct {
	// Log gets each change, and each refusal with its reason; nil discards.
	Log *slog.Logger
	// Metrics receives config_changes_total and config_refused_total; may be nil.
	Metrics prometheus.Registerer
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Live are settings of which some change while the process runs: those of fields tagged `live:"true"`. The others stay what they were when it
// started, and are shown as pending.
//
// A change is taken as a whole, after the same checks as at the start, or not at all. A value of the store that is wrong is refused: the last
// good one stays in force, the refusal is logged, counted and shown, and what else changed is taken. A file that is wrong is refused as a whole.
type Live[T any] struct {
	c                LiveConfig
	start            *Loaded[T]
	changes, refused prometheus.Counter
	current          atomic.Pointer[Loaded[T]]

	mu       sync.Mutex // held while a change is taken
	in       input[T]   // what was seen last
	good     map[string]string
	fns      []func(T)
	refusals map[string]Refusal
	pending  map[string]string // by key, what it would be after a restart
	changed  time.Time
}

// NewLive makes what was loaded live. It fails when the metrics can't be registered.
func NewLive[T any](l *Loaded[T], c LiveConfig) (*Live[T], error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	v := &Live[T]{
		c: c, start: l, in: l.in, good: l.taken, refusals: map[string]Refusal{}, pending: map[string]string{},
		changes: prometheus.NewCounter(prometheus.CounterOpts{Name: "config_changes_total", Help: "Changes of settings that were taken while the process ran."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "config_refused_total", Help: "Values of settings that were refused."}),
	}
	if c.Metrics != nil {
		if err := errors.Join(c.Metrics.Register(v.changes), c.Metrics.Register(v.refused)); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
	}
	v.current.Store(l)
	for _, r := range l.refused {
		v.refuse(context.Background(), r.Key, r)
	}
	return v, nil
}

// Names of refusals that are of no one setting.
const (
	ofFile = "\x00file"
	ofAll  = "\x00all"
)

// Current returns what is in force. The caller must not change what it points to.
func (v *Live[T]) Current() *T { return &v.current.Load().Value }

// OnChange calls fn with what is in force, now and after each change, one call at a time. It must not take long, nor call v's methods but
// Current.
func (v *Live[T]) OnChange(fn func(T)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fns = append(v.fns, fn)
	fn(*v.Current())
}

// TakeStore takes what the store holds now, by key in the form "log/level".
func (v *Live[T]) TakeStore(ctx context.Context, values map[string]string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if values == nil {
		values = map[string]string{}
	}
	v.in.values = maps.Clone(values)
	if v.in.where == nil {
		v.in.where = func(key string) string { return "store:" + key }
	}
	v.take(ctx)
}

// TakeFile takes what the file of Options.File says now.
func (v *Live[T]) TakeFile(ctx context.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	file, err := readFile(v.in.o.File)
	if err == nil {
		before := v.in.file
		v.in.file = file
		if _, err = v.in.settle(v.good, anyLeaf); err != nil {
			v.in.file = before
		}
	}
	if err != nil {
		v.refuse(ctx, ofFile, Refusal{Source: v.in.o.File, Reason: oneLine(err)})
		return
	}
	delete(v.refusals, ofFile)
	v.take(ctx)
}

func anyLeaf(leaf) bool { return true }

// take builds anew and swaps.
func (v *Live[T]) take(ctx context.Context) {
	next, err := v.in.settle(v.good, anyLeaf)
	if err == nil {
		var held *Loaded[T]
		if held, err = v.hold(next); err == nil {
			v.put(ctx, held, next)
			return
		}
	}
	v.refuse(ctx, ofAll, Refusal{Source: "store", Reason: oneLine(err)})
}

// hold is next with the settings that are not live as they were at the start, checked again when that makes a difference.
func (v *Live[T]) hold(next *Loaded[T]) (*Loaded[T], error) {
	out := *next
	out.sources = maps.Clone(next.sources)
	mine, err := leavesOf(&out.Value)
	if err != nil {
		return nil, err
	}
	was, err := leavesOf(&v.start.Value)
	if err != nil {
		return nil, err
	}
	held := false
	for i, f := range mine {
		if f.live {
			continue
		}
		held = held || !reflect.DeepEqual(f.field.Interface(), was[i].field.Interface())
		f.field.Set(was[i].field)
		out.sources[f.key] = v.start.sources[f.key]
	}
	if !held {
		return &out, nil
	}
	return &out, out.validate()
}

// put makes held what is in force; next is what a start would make of the same.
func (v *Live[T]) put(ctx context.Context, held, next *Loaded[T]) {
	v.good = next.taken
	now := map[string]Refusal{}
	for _, r := range next.refused {
		now[r.Key] = v.refuse(ctx, r.Key, r)
	}
	if r, ok := v.refusals[ofFile]; ok {
		now[ofFile] = r
	}
	v.refusals = now
	before := v.current.Load()
	v.pending = differing(held, next)
	changed := differing(before, held)
	v.current.Store(held)
	if len(changed) == 0 {
		return
	}
	v.changed = v.c.Now().UTC()
	v.changes.Inc()
	shown := map[string]string{}
	for _, s := range before.Settings() {
		shown[s.Key] = s.Value
	}
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		v.c.Log.InfoContext(ctx, "a setting changed", "key", key, "from", shown[key], "to", changed[key], "source", held.Source(key).String())
	}
	for _, fn := range v.fns {
		fn(held.Value)
	}
}

// refuse logs and counts a refusal, and remembers it.
func (v *Live[T]) refuse(ctx context.Context, id string, r Refusal) Refusal {
	r.Time = v.c.Now().UTC()
	if before, ok := v.refusals[id]; ok && before.Reason == r.Reason && before.value == r.value {
		return before
	}
	v.refusals[id] = r
	v.refused.Inc()
	v.c.Log.ErrorContext(ctx, "a setting was refused, and the last good one stays", "key", r.Key, "source", r.Source, "reason", r.Reason)
	return r
}

// differing are the settings that differ, by key, with b's value as it is shown.
func differing[T any](a, b *Loaded[T]) map[string]string {
	out := map[string]string{}
	before, errA := leavesOf(&a.Value)
	after, errB := leavesOf(&b.Value)
	if errA != nil || errB != nil { // Load took the type already
		return out
	}
	for i, f := range after {
		if !reflect.DeepEqual(f.field.Interface(), before[i].field.Interface()) {
			out[f.key] = f.show()
		}
	}
	return out
}

// State is what a process says of its settings. It holds no secret.
type State struct {
	Settings []Setting `json:"settings"`
	// Pending are settings that are read when a process starts only, and would be something else then.
	Pending map[string]string `json:"pending,omitempty"`
	// Refused are values that are not in force because they are wrong.
	Refused []Refusal `json:"refused,omitempty"`
	// Unknown are names in the environment and in the store that look like settings and are none.
	Unknown []string `json:"unknown,omitempty"`
	// Changed is when a setting changed last; zero since the start.
	Changed time.Time `json:"changed,omitzero"`
}

// State returns it.
func (v *Live[T]) State() State {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.current.Load()
	return State{
		Settings: now.Settings(), Pending: maps.Clone(v.pending), Unknown: now.Unknown(), Changed: v.changed,
		Refused: slices.SortedFunc(maps.Values(v.refusals), func(a, b Refusal) int { return cmp.Compare(a.Key, b.Key) }),
	}
}
