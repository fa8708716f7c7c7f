package testprovider_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/services/payment/provider"
	"github.com/cleavehq/cleave/services/payment/providertest"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

const secret = "whsec_of_the_test"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

func TestConformance(t *testing.T) {
	for name, books := range map[string]func(t *testing.T) *sql.DB{
		"file":     func(*testing.T) *sql.DB { return nil },
		"postgres": func(t *testing.T) *sql.DB { return datatest.Postgres(t, testprovider.File, testprovider.Migrations()) },
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, providertest.Config{
				New: func(t *testing.T) provider.Provider {
					return open(t, testprovider.Config{Secret: secret, DB: books(t)})
				},
				Approved: "tok_visa", Declined: "tok_insufficient_funds", DeclineCode: "insufficient_funds", UnknownRef: "no_such_ref",
				Event: func(t *testing.T, id, key string, at time.Time) (map[string]string, []byte) {
					t.Helper()
					body := fmt.Appendf(nil, `{"id": %q, "type": "hold", "key": %q}`, id, key)
					return open(t, testprovider.Config{Secret: secret, Now: func() time.Time { return at }}).Sign(body), body
				},
			})
		})
	}
}

func open(t *testing.T, c testprovider.Config) *testprovider.Provider {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	p, err := testprovider.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func request(key string, token provider.Token) provider.Request {
	return provider.Request{IdempotencyKey: key, Order: "order", Amount: provider.Money{Currency: "EUR", Minor: 5}, Token: token}
}

func TestTokensDecide(t *testing.T) {
	for token, code := range map[provider.Token]string{
		"tok_visa": "", "tok_mastercard": "", "tok_declined": "card_declined", "tok_insufficient_funds": "insufficient_funds",
		"tok_expired_card": "expired_card", "tok_nobody_knows": "invalid_token", "": "invalid_token",
	} {
		_, err := open(t, testprovider.Config{}).Authorize(context.Background(), request("k", token))
		var d *provider.Decline
		if errors.As(err, &d) != (code != "") || (d != nil && d.Code != code) {
			t.Errorf("%s: %v, want the code %q", string(token), err, code)
		}
	}
}

func moved(t *testing.T, p *testprovider.Provider) []testprovider.Kind {
	t.Helper()
	ledger, err := p.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []testprovider.Kind
	for _, e := range ledger {
		out = append(out, e.Kind)
	}
	return out
}

func wantMoved(t *testing.T, p *testprovider.Provider, want ...testprovider.Kind) {
	t.Helper()
	if got := moved(t, p); !slices.Equal(got, want) {
		t.Errorf("the money moved so: %v, want %v", got, want)
	}
}

// Each call that a token makes fail does what it says as often as it says, and the money moves once.
func TestTokensMakeCallsFail(t *testing.T) {
	calls := []string{"authorize", "capture", "refund"}
	for token, want := range map[provider.Token]struct {
		call  string
		times int
		err   error
	}{
		"tok_timeout_after_charge":   {"authorize", 1, context.DeadlineExceeded},
		"tok_timeout_after_charge_3": {"authorize", 3, context.DeadlineExceeded},
		"tok_unavailable_2":          {"authorize", 2, provider.ErrUnavailable},
		"tok_capture_timeout_2":      {"capture", 2, context.DeadlineExceeded},
		"tok_capture_unavailable":    {"capture", 1, provider.ErrUnavailable},
		"tok_refund_timeout":         {"refund", 1, context.DeadlineExceeded},
		"tok_refund_unavailable_3":   {"refund", 3, provider.ErrUnavailable},
		"tok_webhook_never":          {},
	} {
		t.Run(string(token), func(t *testing.T) {
			p := open(t, testprovider.Config{})
			do := func(call string) error {
				ctx := t.Context()
				var err error
				switch call {
				case "authorize":
					_, err = p.Authorize(ctx, request("k", token))
				case "capture":
					err = p.Capture(ctx, testprovider.Ref("k"), "k:capture")
				case "refund":
					err = p.Refund(ctx, testprovider.Ref("k"), "r", provider.Money{Currency: "EUR", Minor: 5})
				}
				return err
			}
			for _, call := range calls {
				if call == want.call {
					for range want.times {
						if err := do(call); !errors.Is(err, want.err) {
							t.Fatalf("%s: %v, want %v", call, err, want.err)
						}
					}
				}
				if err := do(call); err != nil {
					t.Fatalf("%s: %v", call, err)
				}
			}
			wantMoved(t, p, testprovider.Hold, testprovider.Capture, testprovider.Refund)
		})
	}
}

func TestUnavailableDoesNothing(t *testing.T) {
	p := open(t, testprovider.Config{})
	for range 3 {
		if _, err := p.Authorize(t.Context(), request("k", "tok_unavailable")); !errors.Is(err, provider.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	wantMoved(t, p)
	if _, err := p.Authorize(t.Context(), request("k", "tok_visa")); err != nil {
		t.Fatalf("the key is not as good as new: %v", err)
	}
}

func TestRefundsOfACardThatRefusesThem(t *testing.T) {
	p := open(t, testprovider.Config{})
	a, err := p.Authorize(t.Context(), request("k", "tok_refund_declined"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Capture(t.Context(), a.Ref, "k:capture"); err != nil {
		t.Fatal(err)
	}
	var d *provider.Decline
	if err := p.Refund(t.Context(), a.Ref, "r", provider.Money{Currency: "EUR", Minor: 5}); !errors.As(err, &d) || d.Code != "refund_refused" {
		t.Fatal(err)
	}
	wantMoved(t, p, testprovider.Hold, testprovider.Capture)
}

// Two processes may have the file open, and one that comes later finds everything.
func TestTheFileIsShared(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, testprovider.Config{Dir: dir}), open(t, testprovider.Config{Dir: dir})
	var wg sync.WaitGroup
	for i := range 20 {
		p := a
		if i%2 == 0 {
			p = b
		}
		wg.Go(func() {
			if _, err := p.Authorize(context.Background(), request("k", "tok_visa")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := b.Capture(t.Context(), testprovider.Ref("k"), "k:capture"); err != nil {
		t.Fatal(err)
	}
	c := open(t, testprovider.Config{Dir: dir})
	wantMoved(t, c, testprovider.Hold, testprovider.Capture)
	charges, err := c.Charges(t.Context())
	if err != nil || len(charges) != 1 || charges[0].Order != "order" || charges[0].Captured != 5 || charges[0].State != provider.Captured {
		t.Errorf("%+v, %v", charges, err)
	}
}

// A hostile provider does the same again with the same seed, and other things with another.
func TestHostilityIsSeeded(t *testing.T) {
	draw := func(seed uint64) (out []string) {
		p := open(t, testprovider.Config{Hostile: true, Seed: seed})
		for i := range 100 {
			out = append(out, p.Drawn("tok_visa", fmt.Sprintf("k%d", i)))
		}
		return out
	}
	first := draw(1)
	if again := draw(1); !slices.Equal(first, again) {
		t.Errorf("the same seed:\n%v\n%v", first, again)
	}
	if other := draw(2); slices.Equal(first, other) {
		t.Error("another seed does the same")
	}
	if kinds := slices.Compact(slices.Sorted(slices.Values(first))); len(kinds) < 15 {
		t.Errorf("of 100 keys these are all: %v", kinds)
	}
	if got := open(t, testprovider.Config{Hostile: true}).Drawn("tok_declined", "k"); got != "declined" {
		t.Errorf("a bad card became %s", got)
	}
	if got := open(t, testprovider.Config{Seed: 1}).Drawn("tok_visa", "k3"); got != "visa" {
		t.Errorf("one that isn't hostile made %s of a good card", got)
	}
}

func TestASlowAnswerIsSlow(t *testing.T) {
	p, start := open(t, testprovider.Config{}), time.Now()
	if _, err := p.Authorize(t.Context(), request("k", "tok_slow_100")); err != nil || time.Since(start) < 100*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

func TestAHangingAnswerEndsWithItsContext(t *testing.T) {
	p := open(t, testprovider.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := p.Authorize(ctx, request("k", "tok_hang_after_charge"))
		done <- err
	}()
	for len(moved(t, p)) == 0 {
		select {
		case err := <-done:
			t.Fatalf("it answers, with nothing done: %v", err)
		default:
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := p.Authorize(t.Context(), request("k", "tok_hang_after_charge")); err != nil {
		t.Fatal(err)
	}
	wantMoved(t, p, testprovider.Hold)
}
