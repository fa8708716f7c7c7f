// Package robustness breaks a running system, under load and with real processes, and counts what its users notice.
package robustness

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

const rate = 200 // requests a second

func start(t *testing.T) *harness.System {
	t.Helper()
	return harness.Distributed(t, binary.Build(t), harness.StartConsul(t))
}

// reads and writes of the catalogue, the module that the tests hurt.
func load(t *testing.T, s *harness.System) (reads, writes *harness.Load) {
	t.Helper()
	product, _, _, _ := s.InStock(t)
	reads = harness.StartLoad(t, rate, func(ctx context.Context) error {
		return expect(s.Do(ctx, http.MethodGet, "/v1/products/"+product.ID, nil, nil))
	})
	run := harness.UUID(t)
	var n atomic.Int64
	writes = harness.StartLoad(t, rate/10, func(ctx context.Context) error {
		body := map[string]any{"slug": fmt.Sprintf("c-%s-%d", run, n.Add(1)), "title": "C"}
		return expect(s.Do(ctx, http.MethodPost, "/v1/categories", body, nil))
	})
	return reads, writes
}

func expect(status int, err error) error {
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("status %d", status)
	}
	return nil
}

// second starts another catalogue, and returns it when the gateway has had time to use it.
func second(t *testing.T, s *harness.System) *harness.Process {
	t.Helper()
	p := s.Run("catalog")
	harness.Eventually(t, 30*time.Second, "the second catalogue passes", func() bool { return len(s.Consul.Passing("catalog")) == 2 })
	return p
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select { // what is measured is what happens in this time: there is no condition to wait for
	case <-t.Context().Done():
	case <-time.After(d):
	}
}

func TestNewModuleIsRoutable(t *testing.T) {
	s := start(t)
	var worst time.Duration
	for range 5 {
		if code := s.Hosts["catalog"].Stop(30 * time.Second); code != 0 {
			t.Fatalf("the catalogue's exit code was %d:\n%s", code, s.Hosts["catalog"].Output())
		}
		harness.Eventually(t, 10*time.Second, "the gateway forgets the catalogue", func() bool {
			status, err := s.Do(t.Context(), http.MethodGet, "/v1/products", nil, nil)
			return err == nil && (status == http.StatusNotFound || status == http.StatusServiceUnavailable)
		})
		s.Hosts["catalog"] = s.Run("catalog")
		harness.Eventually(t, 30*time.Second, "the catalogue passes", func() bool { return len(s.Consul.Passing("catalog")) == 1 })
		took := harness.Eventually(t, 10*time.Second, "the catalogue is routed", func() bool { return s.Ready(t.Context(), "/v1/products") })
		worst = max(worst, took)
	}
	harness.Figure(t, "new_module_routable_after_passing", float64(worst.Microseconds())/1000, 1000, "ms")
}

func TestKill9CostsNoRead(t *testing.T) {
	s := start(t)
	victim := second(t, s)
	reads, writes := load(t, s)
	pause(t, 3*time.Second)
	begin := time.Now()
	victim.Kill()
	gone := harness.Eventually(t, 30*time.Second, "Consul calls the dead one critical", func() bool { return len(s.Consul.Passing("catalog")) == 1 })
	pause(t, 10*time.Second-time.Since(begin))
	reads.Stop()
	writes.Stop()
	t.Log("reads:", reads.Report(), "writes:", writes.Report())
	harness.Figure(t, "kill9_reads_sent", float64(reads.Sent.Load()), 1e9, "requests")
	harness.Figure(t, "kill9_reads_failed", float64(reads.Failed.Load()), 0, "requests")
	harness.Figure(t, "kill9_writes_sent", float64(writes.Sent.Load()), 1e9, "requests")
	// At 20 writes a second of a few milliseconds each, one at most is in flight on the victim; two leaves room for a slow disk.
	harness.Figure(t, "kill9_writes_failed", float64(writes.Failed.Load()), 2, "requests")
	harness.Figure(t, "kill9_critical_in_consul_after", float64(gone.Microseconds())/1000, 5000, "ms")
	harness.Story(t, s.Client)
}

func TestSIGTERMCostsNothing(t *testing.T) {
	s := start(t)
	victim := second(t, s)
	reads, writes := load(t, s)
	pause(t, 2*time.Second)
	if code := victim.Stop(30 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, victim.Output())
	}
	pause(t, 3*time.Second)
	reads.Stop()
	writes.Stop()
	t.Log("reads:", reads.Report(), "writes:", writes.Report())
	harness.Figure(t, "sigterm_requests_sent", float64(reads.Sent.Load()+writes.Sent.Load()), 1e9, "requests")
	harness.Figure(t, "sigterm_requests_failed", float64(reads.Failed.Load()+writes.Failed.Load()), 0, "requests")
	harness.Story(t, s.Client)
}

func TestConsulAwayCostsNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		stop func(*harness.Consul)
		back func(*harness.Consul)
	}{
		{"frozen", func(c *harness.Consul) { c.Signal(syscall.SIGSTOP) }, func(c *harness.Consul) { c.Signal(syscall.SIGCONT) }},
		{"restarted_empty", func(c *harness.Consul) { c.Kill() }, func(c *harness.Consul) { c.Restart() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			reads, writes := load(t, s)
			pause(t, 2*time.Second)
			c.stop(s.Consul)
			pause(t, 30*time.Second)
			c.back(s.Consul)
			harness.Eventually(t, 30*time.Second, "every module passes again", func() bool {
				return !slices.ContainsFunc(harness.Modules(), func(m string) bool { return len(s.Consul.Passing(m)) == 0 })
			})
			pause(t, 20*time.Second) // longer than the grace for a restarted Consul
			reads.Stop()
			writes.Stop()
			t.Log("reads:", reads.Report(), "writes:", writes.Report())
			harness.Figure(t, "consul_"+c.name+"_requests_sent", float64(reads.Sent.Load()+writes.Sent.Load()), 1e9, "requests")
			harness.Figure(t, "consul_"+c.name+"_requests_failed", float64(reads.Failed.Load()+writes.Failed.Load()), 0, "requests")
			harness.Story(t, s.Client)
		})
	}
}
