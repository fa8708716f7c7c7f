package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// notice is how long a process may take to notice that a fault has ended.
const notice = 100 * time.Millisecond

// A fault that the command sets is in force in every process within a second, under load, and gone when it ends: no request that begins after that
// fails, whatever circuits and ejections made of it.
func TestAFaultIsInForceEverywhere(t *testing.T) {
	t.Setenv("CLEAVE_ALLOW_FAULTS", "true")
	w := open(t)
	seen := &witness{}
	var next atomic.Int64
	load := harness.StartLoad(t, 120, func(ctx context.Context) error {
		begin := time.Now()
		err := w.read(ctx, w.gateways[int(next.Add(1))%len(w.gateways)])
		seen.add(begin, err)
		return nil // whether it may fail is looked at when it is known when the faults were
	})
	var slowest, late time.Duration
	failed := 0
	for _, f := range [][]string{
		{"latency", "catalog", "--delay", "200ms"},
		{"error", "catalog", "Catalog.ListProducts"},
		{"abort", "catalog", "--share", "20"},
		{"partition", "catalog", "--from", "gateway"},
	} {
		rule := w.fault(append(f, "--for", "6s")...)
		slowest = max(slowest, w.obeyed(rule.ID, true).Sub(rule.Created))
		harness.Eventually(t, 30*time.Second, "the fault has ended", func() bool { return time.Now().After(rule.Expires) })
		late = max(late, w.obeyed(rule.ID, false).Sub(rule.Expires))
		harness.Eventually(t, 30*time.Second, "the load goes on", func() bool { return seen.begun(rule.Expires) > 300 })
		during := seen.failures(rule.Created, rule.Expires)
		after := seen.failures(rule.Expires.Add(notice), time.Now())
		t.Logf("%q: %d requests failed while it was in force, %d that began after it: %.300q", f, len(during), len(after), after)
		if f[0] == "error" && len(during) == 0 {
			t.Error("no request failed of a fault that every call is hit by")
		}
		failed += len(after)
	}
	load.Stop()
	harness.Figure(t, "fault_in_force_after", float64(slowest.Milliseconds()), 1000, "ms")
	harness.Figure(t, "fault_over_after", float64(late.Milliseconds()), 1000, "ms")
	harness.Figure(t, "fault_requests_sent", float64(load.Sent.Load()), 1e9, "requests")
	harness.Figure(t, "fault_requests_failed_afterwards", float64(failed), 0, "requests")
}

// rule is a fault as the command and the processes show it.
type rule struct {
	ID               string
	Created, Expires time.Time
}

// fault adds one with the command.
func (w *world) fault(args ...string) rule {
	w.t.Helper()
	cmd := exec.Command(binary.Build(w.t), append(append([]string{"fault", "add"}, args...), "--registry", "consul", "--consul-addr", w.Consul.Addr, "-o", "json")...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	var added []rule
	if err := cmd.Run(); err != nil || json.Unmarshal(out.Bytes(), &added) != nil || len(added) != 1 {
		w.t.Fatalf("cleave fault add %q: %v\n%s%s", args, err, &out, &talk)
	}
	return added[0]
}

// obeyed waits until a fault is in force in every process, or in none, and returns when the last one was seen to be there.
func (w *world) obeyed(id string, want bool) time.Time {
	w.t.Helper()
	return w.all(fmt.Sprintf("the fault is in force: %t", want), func(ctx context.Context, admin string) bool {
		var now struct{ Faults []rule }
		err := page(ctx, admin, "/faults", &now)
		return err == nil && slices.ContainsFunc(now.Faults, func(r rule) bool { return r.ID == id }) == want
	})
}

// witness knows what became of requests.
type witness struct {
	mu  sync.Mutex
	all []request
}

type request struct {
	begin time.Time
	err   error
}

func (s *witness) add(begin time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, request{begin, err})
}

// begun counts the requests that began after a moment and have been answered.
func (s *witness) begun(after time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.all {
		if r.begin.After(after) {
			n++
		}
	}
	return n
}

// failures are what went wrong with requests that began between two moments, and how long after the first.
func (s *witness) failures(from, to time.Time) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.all {
		if r.err != nil && r.begin.After(from) && r.begin.Before(to) {
			out = append(out, r.begin.Sub(from).Round(time.Millisecond).String()+" "+r.err.Error())
		}
	}
	return out
}
