package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

func parse(t *testing.T, spec string) *Points {
	t.Helper()
	p, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNothingIsArmed(t *testing.T) {
	for _, spec := range []string{"", " ", ";", " ; ;"} {
		p := parse(t, spec)
		if p != nil {
			t.Errorf("%q armed %v", spec, p)
		}
		if err := p.Hit(t.Context(), "order.reserve.after"); err != nil || p.Hits("order.reserve.after") != 0 || p.String() != "" {
			t.Errorf("%q: %v", spec, err)
		}
	}
	if err := parse(t, "a=error").Hit(t.Context(), "b"); err != nil {
		t.Errorf("another name: %v", err)
	}
}

func TestCounts(t *testing.T) {
	for spec, want := range map[string]string{
		"a=error":     "xxxxxx",
		"a=error*2":   "xx....",
		"a=error@3":   "..x...",
		"a=error@3*2": "..xx..",
		"a=error@1":   "x.....",
		"a=error@7":   "......",
	} {
		p := parse(t, spec)
		var got strings.Builder
		for range 6 {
			err := p.Hit(t.Context(), "a")
			var e *problem.Error
			switch {
			case err == nil:
				got.WriteByte('.')
			case errors.As(err, &e) && e.Code == codes.Unavailable && e.Reason == Reason:
				got.WriteByte('x')
			default:
				t.Errorf("%s: %v", spec, err)
			}
		}
		if got.String() != want || p.Hits("a") != 6 {
			t.Errorf("%s: %s, want %s; %d hits", spec, got.String(), want, p.Hits("a"))
		}
	}
}

func TestConcurrentHitsAreCountedOnce(t *testing.T) {
	p := parse(t, "a=error@40*20")
	var failed atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if p.Hit(t.Context(), "a") != nil {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	if failed.Load() != 20 {
		t.Errorf("%d of 100 hits failed, want 20", failed.Load())
	}
}

func TestSleepWaitsOrEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, "a=sleep(5s)")
		begin := time.Now()
		if err := p.Hit(t.Context(), "a"); err != nil || time.Since(begin) != 5*time.Second {
			t.Errorf("slept %v, %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if err := p.Hit(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("ended after %v with %v", time.Since(begin), err)
		}
	})
}

// This test runs itself again as the process that is to die, and sees it die of SIGKILL at the second hit and no other.
func TestKillIsSIGKILL(t *testing.T) {
	if spec := os.Getenv("FAULT_TEST_POINTS"); spec != "" {
		p := parse(t, spec)
		for n := range 3 {
			fmt.Println("hit", n+1)
			err := p.Hit(t.Context(), "a")
			fmt.Println("alive after", n+1, err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillIsSIGKILL$")
	cmd.Env = append(os.Environ(), "FAULT_TEST_POINTS=a=kill@2")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the process ended with %v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", exit)
	}
	if s := string(out); !strings.Contains(s, "alive after 1 <nil>") || !strings.Contains(s, "hit 2") || strings.Contains(s, "alive after 2") {
		t.Errorf("it said:\n%s", s)
	}
}
