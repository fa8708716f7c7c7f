package topology_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
	"github.com/cleavehq/cleave/chassis/topology"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("waited in vain until " + what)
		}
	}
}

// Consul is killed, and comes back with its data or without: no rule is ever out of force, what was lost is put back, and changes are seen again.
func TestAnOutageOfConsul(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *discoverytest.Agent{
		"empty": discoverytest.StartConsul, "with its data": discoverytest.StartDurableConsul,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent := start(t)
			client, err := api.NewClient(&api.Config{Address: agent.Address})
			if err != nil {
				t.Fatal(err)
			}
			said := &journal{}
			log := slog.New(slog.NewTextHandler(said, nil))
			s := topology.NewConsul(client, "test", time.Now, log)
			put := func(r topology.Rule) {
				t.Helper()
				if _, err := s.Put(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			put(rule("order", 0, host("main", 1)))
			put(rule("order", 1, host("new", 1)))
			put(rule("cart", 0, host("main", 1)))
			var tables []*topology.Table
			for range 2 { // as two processes would
				table := topology.NewTable(log)
				go func() { _ = table.Follow(t.Context(), s, nil) }()
				until(t, "the table is full", func() bool { return len(table.Rules()) == 2 })
				tables = append(tables, table)
			}
			agent.Kill()
			until(t, "both say that Consul is lost", func() bool { return said.count("lost Consul") == len(tables) })
			for _, table := range tables {
				if table.Places("order", "main") || !table.Places("order", "new") {
					t.Error("a rule is out of force while Consul is away")
				}
			}
			agent.Start(t)
			until(t, "both say that Consul is back", func() bool { return said.count("Consul is back") == len(tables) })
			lost := 0
			if name == "empty" {
				lost = 2
			}
			if n := said.count("had lost a rule"); n != lost {
				t.Errorf("%d rules were put back, want %d", n, lost)
			}
			rules, err := s.Rules(t.Context())
			if err != nil || rules["order"].Version != 2 || rules["order"].Shares[0].Host != "new" || rules["cart"].Version != 1 {
				t.Errorf("%+v, %v", rules, err)
			}
			put(rule("order", 2, host("main", 1)))
			for _, table := range tables {
				until(t, "a change is seen", func() bool { return table.Rules()["order"].Version == 3 })
			}
			if n := said.count("lost Consul"); n != len(tables) {
				t.Errorf("that Consul is lost is said %d times, want once by each of %d", n, len(tables))
			}
		})
	}
}
