package resilience_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go-micro.dev/v4/client"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/resilience"
)

// answer is a client whose calls do what the function says.
type answer struct {
	client.Client
	call func(ctx context.Context) error
}

func (a *answer) Call(ctx context.Context, _ client.Request, _ any, _ ...client.CallOption) error {
	return a.call(ctx)
}

func (a *answer) Stream(ctx context.Context, _ client.Request, _ ...client.CallOption) (client.Stream, error) {
	return nil, a.call(ctx)
}

func guard(t *testing.T, conf resilience.ClientConfig, call func(ctx context.Context) error) (*resilience.Client, func(endpoint string) error) {
	t.Helper()
	r, err := resilience.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Wrap(&answer{client.NewClient(), call})
	return r, func(endpoint string) error {
		return c.Call(t.Context(), c.NewRequest("payment", endpoint, nil), nil)
	}
}

func reason(err error) string {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Reason
	}
	return ""
}

func TestTheCircuitOpensAndCloses(t *testing.T) {
	broken, sent := true, 0
	metrics := prometheus.NewRegistry()
	r, call := guard(t, resilience.ClientConfig{MinCalls: 10, OpenFor: 50 * time.Millisecond, Metrics: metrics}, func(context.Context) error {
		sent++
		if broken {
			return problem.Unavailable("UNREACHABLE", "nobody is there")
		}
		return nil
	})
	for range 10 {
		if err := call("Payment.Capture"); reason(err) != "UNREACHABLE" {
			t.Fatalf("before it opens: %v", err)
		}
	}
	if err := call("Payment.Capture"); reason(err) != resilience.ReasonCircuitOpen || sent != 10 {
		t.Errorf("%v after %d calls that failed, %d were sent", err, 10, sent)
	}
	if err := call("Payment.Get"); reason(err) != "UNREACHABLE" {
		t.Errorf("another method: %v", err)
	}
	if n := testutil.CollectAndCount(metrics, "resilience_circuit_state"); n != 2 {
		t.Errorf("%d methods in the metrics, want 2", n)
	}
	broken = false
	for end := time.Now().Add(time.Minute); call("Payment.Capture") != nil; {
		if time.Now().After(end) {
			t.Fatal("it never closed")
		}
	}
	for range 4 { // the rest of the probes
		if err := call("Payment.Capture"); err != nil {
			t.Errorf("a probe: %v", err)
		}
	}
	for _, c := range r.Circuits() {
		if c.Endpoint == "Payment.Capture" && c.State != "closed" {
			t.Errorf("%+v, want it closed", c)
		}
	}
}

// A circuit that is reset takes calls at once, and counts from nothing: the failures before are not held against the successes after.
func TestACircuitIsReset(t *testing.T) {
	fail := true
	r, call := guard(t, resilience.ClientConfig{MinCalls: 10}, func(context.Context) error {
		if fail {
			return problem.Unavailable("GONE", "gone")
		}
		return nil
	})
	for range 12 {
		_ = call("Shop.Get")
	}
	if err := call("Shop.Get"); reason(err) != resilience.ReasonCircuitOpen {
		t.Fatalf("after twelve failures: %v", err)
	}
	for range 9 {
		_ = call("Shop.List") // not open, and full of failures
	}
	fail = false
	r.Reset(func(_, endpoint string) bool { return endpoint == "Shop.Else" })
	if err := call("Shop.Get"); reason(err) != resilience.ReasonCircuitOpen {
		t.Fatalf("of another method that was reset: %v", err)
	}
	r.Reset(func(string, string) bool { return true })
	for range 12 {
		if err := errors.Join(call("Shop.Get"), call("Shop.List")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatDoesNotOpenTheCircuit(t *testing.T) {
	for name, err := range map[string]error{
		"the caller's fault": problem.NotFound("NO_PRODUCT", "no such product"),
		"a limit":            problem.ResourceExhausted("QUOTA", "too many"),
		"a full service":     problem.Unavailable(resilience.ReasonOverloaded, "busy"),
	} {
		_, call := guard(t, resilience.ClientConfig{MinCalls: 5}, func(context.Context) error { return err })
		for range 50 {
			if got := call("M.M"); reason(got) != reason(err) {
				t.Fatalf("%s: %v", name, got)
			}
		}
	}
}

func TestACallerWhoLeavesIsNoFailure(t *testing.T) {
	r, err := resilience.NewClient(resilience.ClientConfig{MinCalls: 5})
	if err != nil {
		t.Fatal(err)
	}
	c := r.Wrap(&answer{client.NewClient(), func(ctx context.Context) error { return problem.From(ctx.Err()) }})
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 50 {
		if _, err := c.Stream(gone, c.NewRequest("s", "M.M", nil)); reason(err) == resilience.ReasonCircuitOpen {
			t.Fatal(err)
		}
	}
}

func TestTheBulkheadBoundsCalls(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	_, call := guard(t, resilience.ClientConfig{MaxCalls: 3}, func(context.Context) error {
		inside <- struct{}{}
		<-leave
		return nil
	})
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			if err := call("M.M"); err != nil {
				t.Error(err)
			}
		})
		<-inside
	}
	if err := call("M.Other"); reason(err) != resilience.ReasonBulkheadFull {
		t.Errorf("the fourth: %v", err)
	}
	close(leave)
	running.Wait()
	go func() { <-inside }()
	if err := call("M.M"); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

func TestAPanicGivesThePermitBack(t *testing.T) {
	fall := true
	_, call := guard(t, resilience.ClientConfig{MaxCalls: 1}, func(context.Context) error {
		if fall {
			panic("x")
		}
		return nil
	})
	func() {
		defer func() { _ = recover() }()
		_ = call("M.M")
	}()
	fall = false
	if err := call("M.M"); err != nil {
		t.Error(err)
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []resilience.ClientConfig{{FailureRate: 1.1}, {FailureRate: math.NaN()}, {Window: -1}, {OpenFor: -1}, {MaxCalls: -1}} {
		if _, err := resilience.NewClient(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	for _, c := range []resilience.ServerConfig{{}, {Service: "s", Least: 100}, {Service: "s", Start: 3000}, {Service: "s", MaxWait: -1}} {
		if _, err := resilience.NewServer(t.Context(), c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	m := prometheus.NewRegistry()
	for range 2 { // several may share their metrics
		if _, err := resilience.NewClient(resilience.ClientConfig{Metrics: m}); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkGuardedCall(b *testing.B) {
	r, err := resilience.NewClient(resilience.ClientConfig{})
	if err != nil {
		b.Fatal(err)
	}
	c := r.Wrap(&answer{client.NewClient(), func(context.Context) error { return nil }})
	req := c.NewRequest("s", "M.M", nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Call(b.Context(), req, nil); err != nil {
			b.Fatal(err)
		}
	}
}
