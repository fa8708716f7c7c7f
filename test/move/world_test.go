package move

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// world is a shop of which every part can die alone: Consul, the gateway, the host main with every module, and those that are extracted.
type world struct {
	*harness.System
	t    *testing.T
	pids map[string][]int // processes of extracted hosts, by module
}

func openWorld(t *testing.T) *world {
	t.Helper()
	w := &world{System: harness.Split(t, binary.Build(t), harness.StartDurableConsul(t)), t: t, pids: map[string][]int{}}
	t.Cleanup(func() {
		for module := range w.pids {
			w.killExtracted(module)
		}
	})
	return w
}

// seed draws what dies and when: CLEAVE_TEST_SEED; else the time in the full form, and 1 in the short one.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	text := "1"
	if rounds(t) > 1 {
		text = strconv.FormatInt(time.Now().UnixNano(), 10)
	}
	text = harness.Env("CLEAVE_TEST_SEED", text)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("CLEAVE_TEST_SEED is %q", text)
	}
	fmt.Fprintf(os.Stderr, "CLEAVE_TEST_SEED=%d\n", n)
	t.Logf("CLEAVE_TEST_SEED=%d", n)
	return rand.New(rand.NewPCG(n, 0))
}

// killExtracted kills the processes of a module's own host that were started so far.
func (w *world) killExtracted(module string) {
	for _, pid := range w.pids[module] {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
	}
	w.pids[module] = nil
}

// seen remembers the host that extract has started.
func (w *world) seen(module string, p *harness.Process) {
	if pid := harness.Pid(p); pid > 0 {
		w.pids[module] = append(w.pids[module], pid)
	}
}

// hosts are the names of the hosts on which Consul has passing instances of a module.
func (w *world) hosts(module string) map[string]bool {
	out := map[string]bool{}
	for _, i := range w.Consul.Instances(module) {
		out[i.Service.Meta["host"]] = true
	}
	return out
}

// placed waits until a module runs on one host alone, as its rule says.
func (w *world) placed(module, host string) {
	w.t.Helper()
	harness.Eventually(w.t, time.Minute, module+" is on "+host+" alone", func() bool {
		var rule struct {
			Shares []struct{ Host string }
			Author string
			Reason string
			Time   time.Time
		}
		if w.Consul.Get("/v1/kv/cleave/topology/"+module+"/current?raw", &rule) != nil || rule.Author == "" || rule.Reason == "" || rule.Time.IsZero() {
			return false
		}
		hosts := w.hosts(module)
		return len(rule.Shares) == 1 && rule.Shares[0].Host == host && len(hosts) == 1 && hosts[host]
	})
}

// verify returns how many laws of the data are broken. What is under way has some time to end.
func (w *world) verify() int {
	w.t.Helper()
	p := w.Start("verify", "--wait", "60s", "-o", "json")
	p.Wait(3 * time.Minute)
	var laws []struct {
		Check  string
		Broken int
		Cases  []string
	}
	text := p.Output()
	begin, end := strings.Index(text, "["), strings.LastIndex(text, "]") // what is said besides is talk
	if begin < 0 || json.Unmarshal([]byte(text[begin:end+1]), &laws) != nil || len(laws) < 50 {
		w.t.Fatalf("cleave verify knows %d laws:\n%s", len(laws), text)
	}
	broken := 0
	for _, l := range laws {
		if l.Broken > 0 {
			w.t.Errorf("%s is broken %d times: %q", l.Check, l.Broken, l.Cases)
			broken++
		}
	}
	return broken
}
