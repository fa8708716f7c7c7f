package stripeprovider_test

import (
	"bufio"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// Each request is one that Stripe's own stub, made from its OpenAPI description, takes, and each answer is read. The stub keeps no state:
// what it answers is always the same, and means nothing.
func TestRequestsAreStripes(t *testing.T) {
	mock := filepath.Join(t.TempDir(), "stripe-mock")
	tools := filepath.Join("..", "..", "..", "tools", "stripemock")
	if out, err := exec.CommandContext(t.Context(), "go", "-C", tools, "build", "-o", mock, "github.com/stripe/stripe-mock").CombinedOutput(); err != nil {
		t.Fatalf("build stripe-mock: %v\n%s", err, out)
	}
	p, ctx := open(t, run(t, mock)), t.Context()
	q := provider.Query{IdempotencyKey: "k", Order: "o", Amount: provider.Money{Currency: "USD", Minor: 1999}}
	var always *provider.Decline // the stub's PaymentIntent is one that waits for another card
	_, err := p.Authorize(ctx, provider.Request{IdempotencyKey: "k", Order: "o", Amount: q.Amount, Token: "tok_visa"})
	if err != nil && !errors.As(err, &always) {
		t.Errorf("authorize: %v", err)
	}
	if err := p.Capture(ctx, "pi_1", "k:capture"); err != nil {
		t.Errorf("capture: %v", err)
	}
	if err := p.Void(ctx, "pi_1", "k:void"); err != nil {
		t.Errorf("void: %v", err)
	}
	if err := p.Refund(ctx, "pi_1", "r", q.Amount); err != nil {
		t.Errorf("refund: %v", err)
	}
	if _, err := p.Lookup(ctx, q); err != nil {
		t.Errorf("lookup: %v", err)
	}
	if page, err := p.List(ctx, provider.Window{From: time.Now().Add(-time.Hour), To: time.Now(), Limit: 100}); err != nil || page.Next != "" {
		t.Errorf("list: %v, %v", page, err)
	}
	q.Ref = "pi_1"
	if _, err := p.Lookup(ctx, q); err != nil {
		t.Errorf("lookup by its ref: %v", err)
	}
}

// run starts the stub and returns its URL.
func run(t *testing.T, mock string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), mock, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // t.Context has killed it
	port := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	for s := bufio.NewScanner(out); s.Scan(); {
		if at := port.FindString(s.Text()); at != "" {
			return "http://" + at
		}
	}
	t.Fatal("stripe-mock ended without saying where it listens")
	return ""
}
