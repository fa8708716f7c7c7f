package topology_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
	"github.com/cleavehq/cleave/chassis/topology"
)

func rule(module string, version int64, shares ...topology.Share) topology.Rule {
	return topology.Rule{Module: module, Shares: shares, Version: version, Author: "ada", Reason: "to see"}
}

func host(name string, weight int) topology.Share { return topology.Share{Host: name, Weight: weight} }

// TestStores is what every store promises.
func TestStores(t *testing.T) {
	agent := discoverytest.StartConsul(t)
	client, err := api.NewClient(&api.Config{Address: agent.Address})
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(t *testing.T) topology.Store{
		"file": func(t *testing.T) topology.Store {
			return topology.NewFile(filepath.Join(t.TempDir(), "deep", "topology.json"), time.Now)
		},
		"consul": func(t *testing.T) topology.Store {
			return topology.NewConsul(client, "test/"+strings.ReplaceAll(t.Name(), "/", "-"), time.Now, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("versions", func(t *testing.T) { versions(t, open(t)) })
			t.Run("race", func(t *testing.T) { race(t, open(t)) })
			t.Run("watch", func(t *testing.T) { watch(t, open(t)) })
		})
	}
}

func versions(t *testing.T, s topology.Store) {
	ctx := t.Context()
	if rules, err := s.Rules(ctx); err != nil || len(rules) != 0 {
		t.Fatalf("at first: %v, %v", rules, err)
	}
	if past, err := s.History(ctx, "order"); err != nil || len(past) != 0 {
		t.Fatalf("at first: %v, %v", past, err)
	}
	const changes = topology.HistoryLimit + 5
	for v := range int64(changes) {
		r, err := s.Put(ctx, rule("order", v, host("main", int(v)), host("new", 100)))
		if err != nil || r.Version != v+1 || r.Time.IsZero() {
			t.Fatalf("change %d: %+v, %v", v, r, err)
		}
	}
	if _, err := s.Put(ctx, rule("order", 1, host("main", 1))); !errors.Is(err, topology.ErrConflict) {
		t.Errorf("a change from an old version: %v", err)
	}
	if _, err := s.Put(ctx, rule("order", changes)); err != nil {
		t.Errorf("a rule without shares: %v", err)
	}
	rules, err := s.Rules(ctx)
	if err != nil || len(rules) != 1 || rules["order"].Version != changes+1 || len(rules["order"].Shares) != 0 || rules["order"].Author != "ada" {
		t.Errorf("rules %+v, %v", rules, err)
	}
	past, err := s.History(ctx, "order")
	if err != nil || len(past) != topology.HistoryLimit || past[0].Version != changes+1 || past[1].Shares[0].Weight != changes-1 {
		t.Errorf("%d versions, %+v, %v", len(past), past[:2], err)
	}
	if r, err := s.Put(ctx, rule("cart", 7, host("main", 1))); err != nil || r.Version != 8 {
		t.Errorf("a change of a rule that the store has lost: %+v, %v", r, err)
	}
	if _, err := s.Put(ctx, rule("order", changes+1, host("a", 0))); !errors.Is(err, topology.ErrInvalid) {
		t.Errorf("a rule that sends calls nowhere: %v", err)
	}
}

// race: of many that change one version, one does.
func race(t *testing.T, s topology.Store) {
	var group sync.WaitGroup
	won := make(chan string, 20)
	for i := range 20 {
		group.Go(func() {
			name := fmt.Sprintf("host-%d", i)
			switch _, err := s.Put(t.Context(), rule("cart", 0, host(name, 1))); {
			case err == nil:
				won <- name
			case !errors.Is(err, topology.ErrConflict):
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	group.Wait()
	rules, err := s.Rules(t.Context())
	if err != nil || len(won) != 1 || rules["cart"].Shares[0].Host != <-won {
		t.Errorf("%d won; %+v, %v", len(won)+1, rules, err)
	}
}

func watch(t *testing.T, s topology.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	table := topology.NewTable(nil)
	ready, ended := make(chan struct{}), make(chan error)
	go func() { ended <- table.Follow(ctx, s, func() { close(ready) }) }()
	within(t, ready, "the first answer")
	changes, stop := table.Changes()
	defer stop()
	for v := range int64(3) {
		if _, err := s.Put(t.Context(), rule("order", v, host("main", int(v)), host("new", 1))); err != nil {
			t.Fatal(err)
		}
		for table.Rules()["order"].Version != v+1 {
			within(t, changes, "a change")
		}
	}
	if table.Places("order", "elsewhere") || !table.Places("order", "new") || !table.Places("cart", "elsewhere") {
		t.Error("a host that no share names runs the module, or one that is named doesn't")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func within[T any](t *testing.T, ch <-chan T, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(20 * time.Second):
		t.Fatal("waited in vain for " + what)
	}
}

func TestAWrongRuleIsNotInForce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topology.json")
	s := topology.NewFile(path, time.Now)
	if _, err := s.Put(t.Context(), rule("order", 0, host("main", 1))); err != nil {
		t.Fatal(err)
	}
	complaints := make(complaints, 100)
	table := topology.NewTable(slog.New(slog.NewTextHandler(complaints, nil)))
	go func() { _ = table.Follow(t.Context(), s, nil) }()
	changes, stop := table.Changes()
	defer stop()
	for len(table.Rules()) == 0 {
		within(t, changes, "the rule")
	}
	bad := rule("order", 2, host("main", -1))
	b, err := json.Marshal(map[string]any{"rules": map[string]any{"order": []topology.Rule{bad}, "cart": []topology.Rule{rule("cart", 1, host("x", 1))}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(b), "{", ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		within(t, complaints, "a complaint")
		if r := table.Rules()["order"]; r.Version != 1 || r.Shares[0].Weight != 1 {
			t.Errorf("%q is in force: %+v", text, r)
		}
	}
	for table.Rules()["cart"].Version != 1 {
		within(t, changes, "the good rule that was beside the wrong one")
	}
}

// complaints has one entry for each line of a log.
type complaints chan string

func (c complaints) Write(b []byte) (int, error) {
	c <- string(b)
	return len(b), nil
}

func TestValidate(t *testing.T) {
	many := make([]topology.Share, topology.MaxShares+1)
	for i := range many {
		many[i] = host(fmt.Sprintf("h%d", i), 1)
	}
	for want, r := range map[string]topology.Rule{
		"no module's name":   rule("Order", 0),
		"at most 32":         rule("order", 0, many...),
		"neither a host":     rule("order", 0, topology.Share{Weight: 1}),
		"no host's name":     rule("order", 0, host("a b", 1)),
		"weight -1":          rule("order", 0, host("a", -1)),
		"weight 10001":       rule("order", 0, host("a", topology.MaxWeight+1)),
		"there twice":        rule("order", 0, host("a", 1), host("a", 2)),
		"no share has":       rule("order", 0, host("a", 0)),
		"or none does":       rule("order", 0, host("a", 1), topology.Share{ModuleVersion: "2", Weight: 1}),
		"author and a reaso": {Module: "order"},
		"no metadata key":    {Module: "order", Author: "a", Reason: "b", Sticky: "a b"},
	} {
		if err := r.Validate(); !errors.Is(err, topology.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestRoute(t *testing.T) {
	table := topology.NewTable(nil)
	set := func(r topology.Rule) { table.Set(map[string]topology.Rule{r.Module: r}) }
	none := func(string) string { return "" }
	if _, _, ok := table.Route("order", none); ok {
		t.Error("a module without a rule has a share")
	}
	set(rule("order", 1, host("new", 1), host("main", 99)))
	const calls = 100_000
	counts := map[string]int{}
	for range calls {
		s, _, ok := table.Route("order", none)
		if !ok {
			t.Fatal("no share")
		}
		counts[s]++
	}
	// One in a hundred of 100,000 is 1,000; six standard deviations of that binomial are 189.
	if n := counts["new"]; n < 811 || n > 1189 || counts["main"] != calls-n {
		t.Errorf("%v, want one in a hundred", counts)
	}
	// What was moved stays moved while the share grows.
	moved := map[string]bool{}
	for _, weight := range []int{1, 10, 50, 100} {
		r := rule("order", 1, host("new", weight), host("main", 100-weight))
		r.Sticky = "X-Session"
		set(r)
		n := 0
		for i := range 10_000 {
			value := fmt.Sprint("session-", i)
			s, _, _ := table.Route("order", func(key string) string {
				if key != "X-Session" {
					t.Fatalf("asked for %q", key)
				}
				return value
			})
			if moved[value] && s != "new" {
				t.Fatalf("%s went back at %d %%", value, weight)
			}
			if s == "new" {
				n++
				moved[value] = true
			}
		}
		if want := weight * 100; n < want-300 || n > want+300 {
			t.Errorf("at %d %%: %d of 10,000 sessions", weight, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.Route("order", none) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// A rule that moves one call in ten to a new host.
func ExampleTable_Route() {
	table := topology.NewTable(nil)
	table.Set(map[string]topology.Rule{"order": {
		Module: "order", Author: "ada", Reason: "take it out", Shares: []topology.Share{{Host: "new", Weight: 10}, {Host: "main", Weight: 90}},
	}})
	counts := map[string]int{}
	for range 1000 {
		host, _, _ := table.Route("order", nil)
		counts[host]++
	}
	fmt.Println(counts["new"] > 50 && counts["new"] < 150, table.Places("order", "main"), table.Places("order", "other"))
	// Output: true true false
}
