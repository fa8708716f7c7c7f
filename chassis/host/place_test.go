package host

import (
	"context"
	"errors"
	"testing"
	"time"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"

	"github.com/cleavehq/cleave/chassis/topology"
)

// placed is a host that follows the topology until the test ends.
type placed struct {
	*Host
	table *topology.Table
	end   func() // as a crash would
}

func place(t *testing.T, c Config, rules map[string]topology.Rule) *placed {
	t.Helper()
	p := &placed{table: topology.NewTable(nil)}
	p.table.Set(rules)
	c.Topology = p.table
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.Host = h
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.Follow(ctx)
	}()
	p.end = func() {
		cancel()
		<-ended
		if err := h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(p.end)
	return p
}

func shares(hosts ...topology.Share) map[string]topology.Rule {
	return map[string]topology.Rule{"shelf": {Module: "shelf", Version: 1, Author: "ada", Reason: "a test", Shares: hosts}}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			t.Fatal("waited in vain: " + what)
		case <-tick.C:
		}
	}
}

// A module moves to another host and back while it is called: no call fails, and it is never without a host.
func TestAModuleMoves(t *testing.T) {
	base := config(t, module("shelf", nil))
	at := func(name string) Config {
		c := base
		c.HostName = name
		c.DrainWait = 50 * time.Millisecond
		return c
	}
	old := place(t, at("main"), nil)
	s := catalogv1.NewCatalogService("shelf", old.Client())
	if _, err := s.CreateCategory(t.Context(), &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: "tea", Title: "Tea"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := make(chan error)
	go func() {
		var err error
		n := 0
		for ctx.Err() == nil && err == nil {
			_, err = s.GetCategory(context.Background(), &catalogv1.GetCategoryRequest{Slug: "tea"})
			n++
		}
		if err == nil && n < 10 {
			err = errors.New("hardly any call was made")
		}
		calls <- err
	}()

	young := place(t, at("new"), nil)
	both := func(rules map[string]topology.Rule) {
		old.table.Set(rules)
		young.table.Set(rules)
	}
	main, other := func() bool { return old.runs("shelf") }, func() bool { return young.runs("shelf") }
	both(shares(topology.Share{Host: "new", Weight: 1}, topology.Share{Host: "main", Weight: 1}))
	if !main() || !other() {
		t.Error("a split ended the module somewhere")
	}
	both(shares(topology.Share{Host: "new", Weight: 1}))
	eventually(t, "the old host lets go", func() bool { return !main() })
	both(shares(topology.Share{Host: "new", Weight: 1}, topology.Share{Host: "main"}))
	eventually(t, "the old host runs it again", main)
	both(shares(topology.Share{Host: "main", Weight: 1}))
	eventually(t, "the new host lets go", func() bool { return !other() })
	cancel()
	if err := <-calls; err != nil {
		t.Errorf("a call failed: %v", err)
	}
}

// A module that nobody runs comes back, wherever it is placed; one that is placed on a host that isn't there does not go away.
func TestNobodyIsLeftWithoutAModule(t *testing.T) {
	c := config(t, module("shelf", nil))
	c.HostName = "main"
	h := place(t, c, shares(topology.Share{Host: "gone", Weight: 1}))
	if h.runs("shelf") {
		t.Fatal("it runs where it isn't placed")
	}
	eventually(t, "it is started all the same", func() bool { return h.runs("shelf") })
	gone := c
	gone.HostName = "gone"
	g := place(t, gone, shares(topology.Share{Host: "gone", Weight: 1}))
	eventually(t, "it leaves when the other host is there", func() bool { return !h.runs("shelf") })
	g.end()
	eventually(t, "it comes back", func() bool { return h.runs("shelf") })
	if services, err := c.Registry.GetService("shelf"); err != nil || len(services) != 1 || services[0].Nodes[0].Metadata["host"] != "main" {
		t.Errorf("the registry has %v, %v", services, err)
	}
}
