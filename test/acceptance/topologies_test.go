package acceptance

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// withLostAnswers is a shop that does every command, and loses its first answer. Where the contract says that a command is idempotent the
// caller's client sends it again; else the visitor does, under the same Idempotency-Key. So each is done twice.
func withLostAnswers(t *testing.T) *harness.System {
	t.Helper()
	t.Setenv("CLEAVE_FAILPOINTS", "rpc.answer.lost=error")
	s := harness.OneProcess(t, binary.Build(t), nil, "--direct=false")
	s.Insist = true
	pattern := regexp.MustCompile(`an answer is lost[^\n]*endpoint=(\S+)`)
	t.Cleanup(func() {
		lost := map[string]bool{}
		for _, m := range pattern.FindAllStringSubmatch(s.Gateway.Output(), -1) {
			lost[m[1]] = true
		}
		t.Logf("the visitor sent %d commands again; answers were lost to %q", s.Insisted.Load(), slices.Sorted(maps.Keys(lost)))
		harness.Figure(t, "commands_with_lost_answers", float64(len(lost)), 1e9, "commands")
		for _, must := range []string{"Order.CreateOrder", "Inventory.Reserve", "Inventory.Commit", "Payment.Authorize", "Payment.Capture", "Payment.Refund"} {
			if !lost[must] {
				t.Errorf("no answer of %s was lost", must)
			}
		}
		if s.Insisted.Load() == 0 {
			t.Error("the visitor sent nothing again")
		}
	})
	return s
}

// halfWay is a shop in the middle of three extractions: half of the calls of each go to its new host. At the end all three are interrupted.
func halfWay(t *testing.T) *harness.System {
	t.Helper()
	s := harness.OneProcess(t, binary.Build(t), nil)
	for _, m := range []string{"order", "payment", "catalog"} {
		p := s.Start("extract", m, "--steps", "50,100", "--hold", "1h")
		kill := s.Extracted(p)
		t.Cleanup(func() {
			defer kill()
			p.Signal(syscall.SIGINT)
			if code := p.Wait(time.Minute); code != 1 || !strings.Contains(p.Output(), "taken back") {
				t.Errorf("an interrupted extraction: exit code %d:\n%s", code, p.Output())
			}
		})
	}
	harness.Eventually(t, time.Minute, "half of the calls of each go to its new host", func() bool {
		p := s.Start("topology")
		<-p.Ended()
		return strings.Count(p.Output(), " 50%, main 50%") == 3
	})
	return s
}

// The story is told again and again while a module that takes part in it moves out and back.
func TestAVisitorBuysWhileAModuleMoves(t *testing.T) {
	const enough = 4
	s := harness.OneProcess(t, binary.Build(t), nil)
	var moves atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !t.Failed() && moves.Load() < enough {
			how := []string{"extract", "absorb"}[moves.Load()%2]
			p := s.Start(how, "order", "--hold", "500ms")
			if how == "extract" {
				t.Cleanup(s.Extracted(p))
			}
			<-p.Ended()
			if code := p.Wait(0); code != 0 {
				t.Errorf("%s: exit code %d:\n%s", how, code, p.Output())
			}
			moves.Add(1)
		}
	}()
	told := 0
	for moving := true; moving; told++ {
		harness.Story(t, s.Client)
		harness.After(t, s.Client)
		select {
		case <-done:
			moving = false
		default:
		}
	}
	t.Logf("the story was told %d times during %d moves", told, moves.Load())
	harness.Figure(t, "stories_told_while_a_module_moves", float64(told), 1e9, "stories")
}
