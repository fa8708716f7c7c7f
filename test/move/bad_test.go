package move

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// Moves that go badly, one after the other in one shop: each is taken back, customers don't notice, and nothing is in the way of the next.
func TestMovesThatGoBadly(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), harness.StartConsul(t))
	t.Run("the new host dies", func(t *testing.T) { newHostDies(t, s) })
	t.Run("Ctrl-C", func(t *testing.T) { interrupted(t, s) })
	t.Run("the new host is slow", func(t *testing.T) {
		worse(t, s, "slow", "rpc.call.before=sleep(2s)", `the p99 on catalog is \S+, and was`)
	})
	t.Run("the new host fails", func(t *testing.T) {
		worse(t, s, "failing", "rpc.call.before=error", `\d+ of \d+ calls failed on catalog`)
	})
	move(t, s, "extract", "order")
	move(t, s, "absorb", "order")
	harness.Story(t, s.Client)
}

// takenBack waits for the end of a move that is taken back, and sees that the module is where it was.
func takenBack(t *testing.T, s *harness.System, p *harness.Process, module, why string) {
	t.Helper()
	if code := p.Wait(time.Minute); code != 1 || !regexp.MustCompile(`cleave: the move was taken back: .*`+why).MatchString(p.Output()) {
		t.Errorf("exit code %d, want it taken back because of %s:\n%s", code, why, p.Output())
	}
	list := s.Start("topology")
	list.Wait(time.Minute)
	if !regexp.MustCompile(`(?m)^` + module + ` .* main 100% .*taken back`).MatchString(list.Output()) {
		t.Errorf("the topology is\n%s", list.Output())
	}
}

// The new host dies in the middle: customers don't notice, and the module is where it was.
func newHostDies(t *testing.T, s *harness.System) {
	shop := openShop(t, s)
	p := s.Start("extract", "order", "--hold", "2s")
	pid := host(t, s, p)
	harness.Eventually(t, 30*time.Second, "half of the calls go there", func() bool { return regexp.MustCompile(`(?m)^ 10 %`).MatchString(p.Output()) })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	takenBack(t, s, p, "order", "")
	shop.close()
	t.Log("reads:", shop.reads.Report(), "buyers:", shop.buyers.Report())
	harness.Figure(t, "move_killed_reads_failed", float64(shop.reads.Failed.Load()), 0, "requests")
	// A checkout that was on its way to the host that died may fail; it can be sent again, and is the same one then.
	harness.Figure(t, "move_killed_checkouts_failed", float64(shop.buyers.Failed.Load()), 2, "checkouts")
}

// Ctrl-C takes the move back, and the host that was started ends by itself.
func interrupted(t *testing.T, s *harness.System) {
	shop := openShop(t, s)
	p := s.Start("extract", "payment", "--hold", "1s")
	pid := host(t, s, p)
	harness.Eventually(t, 30*time.Second, "the first step is done", func() bool { return regexp.MustCompile(`(?m)^  1 %`).MatchString(p.Output()) })
	p.Signal(syscall.SIGINT)
	takenBack(t, s, p, "payment", "context canceled")
	harness.Eventually(t, time.Minute, "the host that was started has ended", func() bool { return gone(pid) })
	shop.close()
	t.Log("reads:", shop.reads.Report(), "buyers:", shop.buyers.Report())
	harness.Figure(t, "move_interrupted_requests_failed", float64(shop.reads.Failed.Load()+shop.buyers.Failed.Load()), 0, "requests")
}

// gone says that a process has ended, whether anybody has asked for its exit code or not.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}

// worse moves the catalogue to a host that does worse than the old one.
func worse(t *testing.T, s *harness.System, how, failpoints, why string) {
	shop := openShop(t, s)
	p := s.StartWith([]string{"CLEAVE_FAILPOINTS=" + failpoints}, "extract", "catalog", "--steps", "30,60,100", "--hold", "3s")
	host(t, s, p)
	takenBack(t, s, p, "catalog", why)
	shop.close()
	t.Log("reads:", shop.reads.Report(), "buyers:", shop.buyers.Report())
	harness.Figure(t, "move_to_a_"+how+"_host_reads_failed", float64(shop.reads.Failed.Load()), 0, "requests")
}
