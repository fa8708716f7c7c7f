package move

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/topology"
)

// world has two hosts: old runs the module, and lets it go as host.Host does when the rule no longer names it.
type world struct {
	Config
	mu   sync.Mutex
	said []string
	// calls and failed are what a host counts between two looks.
	calls, failed map[string]int64
	looks         map[string]int64
}

func node(host string) *registry.Service {
	return &registry.Service{Name: "order", Version: "1", Nodes: []*registry.Node{
		{Id: "order-" + host, Address: host, Metadata: map[string]string{"host": host}},
	}}
}

func newWorld(t *testing.T, hosts ...string) *world {
	t.Helper()
	w := &world{calls: map[string]int64{"old": 100, "new": 100}, failed: map[string]int64{}, looks: map[string]int64{}}
	reg := registry.NewMemoryRegistry()
	for _, h := range hosts {
		if err := reg.Register(node(h)); err != nil {
			t.Fatal(err)
		}
	}
	store := topology.NewFile(filepath.Join(t.TempDir(), "topology.json"), time.Now)
	w.Config = Config{
		Store: store, Registry: reg, Module: "order", To: "new", Author: "ada", Hold: time.Millisecond, Within: 10 * time.Second,
		Start: func(context.Context) (<-chan error, error) { return nil, reg.Register(node("new")) },
		Say: func(format string, args ...any) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.said = append(w.said, fmt.Sprintf(format, args...))
		},
		Stats: func(_ context.Context, host string) (rpc.Stats, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.looks[host]++
			return rpc.Stats{Calls: w.looks[host] * w.calls[host], Failed: w.looks[host] * w.failed[host]}, nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = store.Watch(ctx, func(rules map[string]topology.Rule, _ error) {
			for _, h := range []string{"old", "new"} {
				if r := rules["order"]; !r.Places(h) {
					for !elsewhere(ctx, reg, r) {
					}
					_ = reg.Deregister(node(h))
				}
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// elsewhere waits a moment, and says whether a host that the rule names runs the module, or nobody waits any more.
func elsewhere(ctx context.Context, reg registry.Registry, r topology.Rule) bool {
	if pause(ctx, time.Millisecond) != nil {
		return true
	}
	services, _ := reg.GetService("order")
	for _, s := range services {
		for _, n := range s.Nodes {
			if r.Places(n.Metadata["host"]) {
				return true
			}
		}
	}
	return false
}

// rule is what is in force at the end.
func (w *world) rule(t *testing.T) topology.Rule {
	t.Helper()
	rules, err := w.Store.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rules["order"]
}

func (w *world) heard(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(strings.Join(w.said, "\n"), text)
}

func TestAModuleMovesBySteps(t *testing.T) {
	w := newWorld(t, "old")
	if err := Run(t.Context(), w.Config); err != nil {
		t.Fatal(err, w.said)
	}
	if r := w.rule(t); len(r.Shares) != 1 || r.Shares[0].Host != "new" || r.Version != 6 || r.Author != "ada" {
		t.Errorf("%+v", r)
	}
	past, err := w.Store.History(t.Context(), "order")
	if err != nil {
		t.Fatal(err)
	}
	var weights []int
	for i := len(past) - 1; i >= 0; i-- {
		weights = append(weights, past[i].Shares[0].Weight)
	}
	if fmt.Sprint(weights) != "[0 100 1000 5000 10000 10000]" {
		t.Errorf("the new host had %v of 10000", weights)
	}
	if err := Run(t.Context(), w.Config); err != nil || !w.heard("already") || w.rule(t).Version != 6 {
		t.Errorf("again: %v, %+v", err, w.rule(t))
	}
}

func TestANewHostThatFailsGetsNoMore(t *testing.T) {
	w := newWorld(t, "old")
	w.failed["new"] = 3
	err := Run(t.Context(), w.Config)
	if !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "3 of 100 calls failed on new") {
		t.Errorf("got %v", err)
	}
	if r := w.rule(t); len(r.Shares) != 1 || r.Shares[0].Host != "old" || !strings.Contains(r.Reason, "taken back") {
		t.Errorf("%+v", r)
	}
}

// A host that a supervisor has started again counts from zero.
func TestANewHostThatDiedAndIsBackGetsNoMore(t *testing.T) {
	w := newWorld(t, "old")
	stats, left := w.Stats, int64(10_000)
	w.Stats = func(ctx context.Context, host string) (rpc.Stats, error) {
		s, err := stats(ctx, host)
		if host == "new" {
			left -= 100
			s.Calls = left
		}
		return s, err
	}
	if err := Run(t.Context(), w.Config); !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "has died in between") {
		t.Errorf("got %v", err)
	}
}

// What fails everywhere is not the new host's fault.
func TestANewHostMayFailAsTheOldOneDoes(t *testing.T) {
	w := newWorld(t, "old")
	w.failed["new"], w.failed["old"] = 3, 3
	if err := Run(t.Context(), w.Config); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestAMoveThatIsInterruptedIsTakenBack(t *testing.T) {
	w := newWorld(t, "old")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.Hold = time.Minute
	say := w.Say
	w.Say = func(format string, args ...any) {
		say(format, args...)
		if strings.Contains(format, "answers") { // then it is the first step's turn
			time.AfterFunc(20*time.Millisecond, cancel)
		}
	}
	err := Run(ctx, w.Config)
	if r := w.rule(t); !errors.Is(err, ErrRolledBack) || !errors.Is(err, context.Canceled) || len(r.Shares) != 1 || r.Shares[0].Host != "old" {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestAMoveGoesOnFromWhereItWas(t *testing.T) {
	w := newWorld(t, "old", "new")
	half := topology.Rule{
		Module: "order", Author: "ada", Reason: "half of it",
		Shares: []topology.Share{{Host: "new", Weight: 5000}, {Host: "old", Weight: 5000}},
	}
	if _, err := w.Store.Put(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), w.Config); err != nil || !w.heard("going on: 50 %") || w.rule(t).Version != 3 {
		t.Errorf("%v, %+v, %q", err, w.rule(t), w.said)
	}
}

// The rule says that the module is on the new host, which is dead; a host that could run it stands in. The move is made again.
func TestAMoveToAHostThatDiedIsMadeAgain(t *testing.T) {
	w := newWorld(t, "old")
	done := topology.Rule{Module: "order", Author: "ada", Reason: "done", Shares: []topology.Share{{Host: "new", Weight: full}}}
	if _, err := w.Store.Put(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), w.Config); err != nil || !w.heard("starting host new") || !w.heard("no other host has order") {
		t.Errorf("%v, %+v, %q", err, w.rule(t), w.said)
	}
}

// What a registry keeps of an instance that listens no more, because it was away itself, is not waited for; and one that comes late is.
func TestOnlyAnInstanceThatAnswersCounts(t *testing.T) {
	w := newWorld(t, "old")
	if err := w.Registry.Register(&registry.Service{Name: "order", Version: "1", Nodes: []*registry.Node{
		{Id: "order-before", Address: "before", Metadata: map[string]string{"host": "old"}},
		{Id: "order-late", Address: "late", Metadata: map[string]string{"host": "new"}},
	}}); err != nil {
		t.Fatal(err)
	}
	stats, silent := w.Stats, 3
	w.Stats = func(ctx context.Context, host string) (rpc.Stats, error) {
		switch {
		case host == "before":
			return rpc.Stats{}, problem.Unavailable(rpc.ReasonUnreachable, "connection refused")
		case host == "late" && silent > 0:
			silent--
			return rpc.Stats{}, problem.Unavailable(rpc.ReasonUnreachable, "connection refused")
		}
		return stats(ctx, host)
	}
	if err := Run(t.Context(), w.Config); err != nil || silent != 0 || !w.heard("no other host has order") {
		t.Errorf("%v, silent for %d more, %q", err, silent, w.said)
	}
}

// The command died after the last change: what is left is to wait until the old host is gone.
func TestAMoveThatDiedAtItsEndIsWaitedFor(t *testing.T) {
	w := newWorld(t, "old", "new")
	done := topology.Rule{Module: "order", Author: "ada", Reason: "done", Shares: []topology.Share{{Host: "new", Weight: full}}}
	if _, err := w.Store.Put(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), w.Config); err != nil || !w.heard("already") || !w.heard("no other host has order") || w.rule(t).Version != 1 {
		t.Errorf("%v, %+v, %q", err, w.rule(t), w.said)
	}
}

// A registry that does not know everybody yet does not make a half-done move look done.
func TestAMoveGoesOnWhereTheRegistryKnowsLittle(t *testing.T) {
	w := newWorld(t, "new")
	half := topology.Rule{
		Module: "order", Author: "ada", Reason: "half of it",
		Shares: []topology.Share{{Host: "new", Weight: 1000}, {Host: "old", Weight: 9000}},
	}
	if _, err := w.Store.Put(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), w.Config); err != nil || !w.heard("going on: 10 %") || len(w.rule(t).Shares) != 1 {
		t.Errorf("%v, %+v, %q", err, w.rule(t), w.said)
	}
}

func TestWhatCannotBeMoved(t *testing.T) {
	for want, change := range map[string]func(t *testing.T, w *world){
		"no instance of the module": func(_ *testing.T, w *world) { w.Module = "nobody" },
		"must be 100":               func(_ *testing.T, w *world) { w.Steps = []int{1, 50} },
		"must grow":                 func(_ *testing.T, w *world) { w.Steps = []int{50, 10, 100} },
		"no host's name":            func(_ *testing.T, w *world) { w.To = "a b" },
		"did not come to new": func(_ *testing.T, w *world) {
			w.Start, w.Within = nil, 50*time.Millisecond
		},
		"start host new: no luck": func(_ *testing.T, w *world) {
			w.Start = func(context.Context) (<-chan error, error) { return nil, errors.New("no luck") }
		},
		"host new ended: no luck": func(_ *testing.T, w *world) {
			w.Start = func(context.Context) (<-chan error, error) {
				ended := make(chan error, 1)
				ended <- errors.New("no luck")
				return ended, nil
			}
		},
		"split by version": func(t *testing.T, w *world) {
			t.Helper()
			r := topology.Rule{Module: "order", Author: "a", Reason: "b", Shares: []topology.Share{{ModuleVersion: "2", Weight: 1}}}
			if _, err := w.Store.Put(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		},
	} {
		w := newWorld(t, "old")
		change(t, w)
		if err := Run(t.Context(), w.Config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if r := w.rule(t); len(r.Shares) > 0 && r.Shares[0].Host == "new" && r.Shares[0].Weight > 0 {
			t.Errorf("%s: and calls go to the new host: %+v", want, r)
		}
	}
}

// losing is a store that takes one change, and whose answer is lost because the command is interrupted.
type losing struct {
	topology.Store
	percent string
	cancel  context.CancelFunc
}

func (l *losing) Put(ctx context.Context, r topology.Rule) (topology.Rule, error) {
	out, err := l.Store.Put(ctx, r)
	if err == nil && strings.Contains(r.Reason, l.percent) {
		l.cancel()
		return topology.Rule{}, ctx.Err()
	}
	return out, err
}

func TestAMoveIsTakenBackWhenTheLastAnswerWasLost(t *testing.T) {
	w := newWorld(t, "old")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.Store = &losing{w.Store, "10 %", cancel}
	err := Run(ctx, w.Config)
	if r := w.rule(t); !errors.Is(err, ErrRolledBack) || !errors.Is(err, context.Canceled) || len(r.Shares) != 1 || r.Shares[0].Host != "old" {
		t.Errorf("%v, %+v", err, r)
	}
}
