package move

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/test/harness"
)

// canary is a shop with a second catalogue, of another version.
type canary struct {
	*harness.System
	t       *testing.T
	product string
	old     string // version that the shop has
	next    string // address of the new version
}

const nextVersion = "2.0.0"

func openCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{t: t, System: harness.OneProcess(t, binary.Build(t), harness.StartConsul(t))}
	var note struct{ Broker string }
	b, err := os.ReadFile(filepath.Join(c.DataDir(), "hosts", "main.json"))
	if err != nil || json.Unmarshal(b, &note) != nil {
		t.Fatal(err, string(b))
	}
	c.StartWith([]string{"CLEAVE_MODULE_VERSION=" + nextVersion}, "run", "--modules", "catalog", "--host", "next", "--broker", note.Broker)
	harness.Eventually(t, time.Minute, "both versions pass", func() bool {
		for _, i := range c.Consul.Instances("catalog") {
			if i.Service.Meta["version"] == nextVersion {
				c.next = net.JoinHostPort(i.Service.Address, strconv.Itoa(i.Service.Port))
			} else {
				c.old = i.Service.Meta["version"]
			}
		}
		return c.next != "" && c.old != ""
	})
	product, _, _, _ := c.InStock(t)
	c.product = product.ID
	return c
}

// calls are those that the new version has had.
func (c *canary) calls() int64 {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	s, err := rpc.StatsOf(ctx, c.next)
	if err != nil {
		c.t.Fatal(err)
	}
	return s.Calls
}

// visit looks at a product so many times, and returns how often the new version answered.
func (c *canary) visit(session string, times int) int64 {
	c.t.Helper()
	before := c.calls()
	for range times {
		req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.Base+"/v1/products/"+c.product, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		if session != "" {
			req.Header.Set("X-Session", session)
		}
		if err := ok(c.Send(req, nil)); err != nil {
			c.t.Fatal(err)
		}
	}
	return c.calls() - before
}

// set changes the rule, and waits until it is in force: watched at rest, then seen in where calls go.
func (c *canary) set(inForce func() bool, args ...string) {
	c.t.Helper()
	p := c.Start(append([]string{"topology", "set", "catalog"}, args...)...)
	if code := p.Wait(time.Minute); code != 0 {
		c.t.Fatalf("topology set %q: exit code %d:\n%s", args, code, p.Output())
	}
	harness.Eventually(c.t, 30*time.Second, "the rule is in force", inForce)
}

// A part of the calls goes to a new version, and a customer stays on one side.
func TestACanaryByVersion(t *testing.T) {
	c := openCanary(t)
	share := func(version string, weight int) string { return fmt.Sprintf("--share=@%s=%d", version, weight) }

	c.set(func() bool { return c.visit("", 20) == 0 }, share(nextVersion, 0), share(c.old, 100), "--reason", "nothing yet")
	c.set(func() bool { return c.visit("", 20) > 0 }, share(nextVersion, 10), share(c.old, 90), "--reason", "a tenth")
	const visits = 2000
	n := c.visit("", visits)
	// A tenth of 2,000 is 200; six standard deviations of that binomial are 80.
	if n < 120 || n > 280 {
		t.Errorf("%d of %d calls went to the new version, want a tenth", n, visits)
	}
	harness.Figure(t, "canary_calls", 100*float64(n)/visits, 14, "%")

	c.set(func() bool { return c.visit("", 30) > 5 }, share(nextVersion, 50), share(c.old, 50), "--sticky", "X-Session", "--reason", "half of the customers")
	const sessions, each = 40, 5
	moved := map[string]bool{}
	split := 0
	look := func() {
		for i := range sessions {
			session := fmt.Sprintf("session-%d", i)
			n := c.visit(session, each)
			if n != 0 && n != each || moved[session] && n == 0 {
				t.Errorf("%s: %d of %d calls went to the new version, and it was there before: %t", session, n, each, moved[session])
				split++
			}
			if n > 0 {
				moved[session] = true
			}
		}
	}
	look()
	half := len(moved)
	c.set(func() bool { return c.visit("", 40) > 25 }, share(nextVersion, 90), share(c.old, 10), "--sticky", "X-Session", "--reason", "nearly all")
	look()
	if half < 8 || half > 32 || len(moved) <= half { // of 40, as heads and tails: 20, give or take four standard deviations
		t.Errorf("of %d customers %d had the new version at a half, %d at nine tenths", sessions, half, len(moved))
	}
	harness.Figure(t, "canary_customers_split", float64(split), 0, "customers")

	c.history(t)
}

// history sees that every change is known, and that wrong ones are refused.
func (c *canary) history(t *testing.T) {
	t.Helper()
	wrong := c.Start("topology", "set", "catalog", "--share=@1=-1", "--reason", "a mistake")
	if code := wrong.Wait(time.Minute); code != 2 || !strings.Contains(wrong.Output(), "weight -1") {
		t.Errorf("a wrong rule: exit code %d:\n%s", code, wrong.Output())
	}
	back := c.Start("topology", "rollback", "catalog", "--to", "2")
	if code := back.Wait(time.Minute); code != 0 {
		t.Errorf("rollback: exit code %d:\n%s", code, back.Output())
	}
	p := c.Start("topology", "history", "catalog", "-o", "json")
	p.Wait(time.Minute)
	var past []struct {
		Version        int64
		Author, Reason string
		Time           time.Time
	}
	if err := json.Unmarshal([]byte(p.Output()), &past); err != nil || len(past) != 5 {
		t.Fatalf("%d versions, %v:\n%s", len(past), err, p.Output())
	}
	for i, want := range []string{"back to version 2", "nearly all", "half of the customers", "a tenth", "nothing yet"} {
		r := past[i]
		if r.Reason != want || r.Version != int64(len(past)-i) || r.Author == "" || time.Since(r.Time) > time.Hour {
			t.Errorf("version %+v, want the reason %q", r, want)
		}
	}
	harness.Eventually(t, 30*time.Second, "the rollback is in force", func() bool { n := c.visit("", 100); return n > 0 && n < 40 })
}
