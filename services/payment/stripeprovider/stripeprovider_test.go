package stripeprovider_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v84"

	"github.com/cleavehq/cleave/services/payment/provider"
	"github.com/cleavehq/cleave/services/payment/providertest"
	"github.com/cleavehq/cleave/services/payment/stripeprovider"
)

const (
	apiKey = "sk_test_1f"
	secret = "whsec_canary_2e"
)

func open(t *testing.T, url string) *stripeprovider.Provider {
	t.Helper()
	p, err := stripeprovider.New(stripeprovider.Config{Key: apiKey, WebhookSecret: secret, URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	providertest.Run(t, providertest.Config{
		New: func(t *testing.T) provider.Provider {
			_, url := start(t)
			return open(t, url)
		},
		Approved: "tok_visa", Declined: "tok_chargeDeclinedInsufficientFunds", DeclineCode: "insufficient_funds", UnknownRef: "pi_nobody",
		Event: func(t *testing.T, id, key string, at time.Time) (map[string]string, []byte) {
			t.Helper()
			return signed(event(id, "payment_intent.amount_capturable_updated", "payment_intent", key), at)
		},
	})
}

func event(id, kind, object, key string) []byte {
	return fmt.Appendf(nil, `{"id": %q, "object": "event", "api_version": "2020-08-27", "type": %q, "data": {"object":
		{"id": "x_1", "object": %q, "metadata": {"cleave_key": %q}}}}`, id, kind, object, key)
}

func signed(body []byte, at time.Time) (map[string]string, []byte) {
	sum := stripe.ComputeSignature(at, body, secret)
	return map[string]string{"Stripe-Signature": fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(sum))}, body
}

func request(key string, token provider.Token) provider.Request {
	return provider.Request{IdempotencyKey: key, Order: "o", Amount: provider.Money{Currency: "EUR", Minor: 5}, Token: token}
}

// After a day Stripe has forgotten the key; its search finds the hold.
func TestAnOldHoldIsFound(t *testing.T) {
	f, url := start(t)
	p := open(t, url)
	a, err := p.Authorize(t.Context(), request("k", "tok_visa"))
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.answers, f.indexed = map[string]stored{}, true
	f.mu.Unlock()
	q := provider.Query{IdempotencyKey: "k", Order: "o", Amount: provider.Money{Currency: "EUR", Minor: 5}}
	s, err := p.Lookup(t.Context(), q)
	if err != nil || s.State != provider.Held || s.Ref != a.Ref {
		t.Fatalf("%+v, %v", s, err)
	}
	q.Ref = a.Ref
	if s, err = p.Lookup(t.Context(), q); err != nil || s.State != provider.Held {
		t.Fatalf("%+v, %v", s, err)
	}
	if len(f.intents) != 1 {
		t.Errorf("%d intents", len(f.intents))
	}
}

// A token that Stripe doesn't know is declined, for good, and is in no error.
func TestAnUnknownTokenIsDeclined(t *testing.T) {
	_, url := start(t)
	p := open(t, url)
	for range 2 {
		_, err := p.Authorize(t.Context(), request("k", "tok_canary_3d"))
		var d *provider.Decline
		if !errors.As(err, &d) || d.Code != "invalid_token" || strings.Contains(fmt.Sprintf("%+v", err), "canary") {
			t.Fatal(err)
		}
	}
	if s, err := p.Lookup(t.Context(), provider.Query{IdempotencyKey: "k", Order: "o", Amount: request("k", "").Amount}); err != nil || s.State != provider.Declined {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestWhoIsNotThereDidNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, err = open(t, "http://"+l.Addr().String()).Authorize(t.Context(), request("k", "tok_visa"))
	if !errors.Is(err, provider.ErrUnavailable) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "tok_visa") {
		t.Fatal(err)
	}
}

func TestWhichEventsAreAboutAHold(t *testing.T) {
	p := open(t, "http://127.0.0.1:0")
	for kind, want := range map[string]string{
		"payment_intent.succeeded": "k", "payment_intent.canceled": "k", "charge.refunded": "k", "charge.captured": "k",
		"refund.updated": "", "charge.refund.updated": "", "customer.created": "",
	} {
		e, err := p.ParseWebhook(signed(event("evt_1", kind, "o", "k"), time.Now()))
		if err != nil || e != (provider.Event{ID: "evt_1", Key: want, Kind: kind}) {
			t.Errorf("%s: %+v, %v", kind, e, err)
		}
	}
	for _, body := range []string{"nonsense", "{}", `{"id": "evt_1"}`, `{"id": "evt_1", "data": {"object": 7}}`} {
		if _, err := p.ParseWebhook(signed([]byte(body), time.Now())); !errors.Is(err, provider.ErrBadEvent) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []stripeprovider.Config{{}, {Key: "k"}, {WebhookSecret: "s"}} {
		if _, err := stripeprovider.New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
