package payment_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/codes"

	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/payment/provider"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

// post hands an event to the module as the gateway does.
func (c *till) post(ctx context.Context, header map[string]string, body []byte) error {
	_, err := c.HandleWebhook(ctx, &paymentv1.HandleWebhookRequest{
		Provider: "test", Headers: header, Body: &httpbody.HttpBody{ContentType: "application/json", Data: body},
	})
	return err
}

func (c *till) seen(id string) bool {
	c.t.Helper()
	var n int
	if err := c.db.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM webhook_event WHERE event_id = $1", id).Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n == 1
}

func anEvent(id, key string) []byte {
	return []byte(`{"id": "` + id + `", "type": "hold", "key": "` + key + `"}`)
}

func aWebhookIsAnOccasionToAsk(t *testing.T, c *till) {
	ctx, order, id := t.Context(), uuid.NewString(), uuid.NewString()
	wantErr(t, second(c.authorize(ctx, order, "tok_timeout_after_charge", 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	body := anEvent(id, c.of(order).GetId())
	// The provider can't be asked: it is to send the event again.
	c.wire.fault.Store(refused)
	wantErr(t, c.post(ctx, c.bank.Sign(body), body), codes.Unavailable, payment.ReasonUnavailable)
	c.wire.fault.Store(none)
	wantState(t, c.of(order), nil, pending)
	if c.seen(id) {
		t.Error("an event that was not acted on is remembered")
	}
	for range 3 {
		if err := c.post(ctx, c.bank.Sign(body), body); err != nil {
			t.Fatal(err)
		}
		wantState(t, c.of(order), nil, authorized)
	}
	if !c.seen(id) {
		t.Error("an event that was acted on is not remembered")
	}
	// One that was acted on does not ask the provider again, even when it can't be asked.
	c.wire.fault.Store(refused)
	if err := c.post(ctx, c.bank.Sign(body), body); err != nil {
		t.Error(err)
	}
	c.wire.fault.Store(none)
}

func forgedAndStrangeWebhooks(t *testing.T, c *till) {
	ctx := t.Context()
	body := anEvent(uuid.NewString(), uuid.NewString())
	header := c.bank.Sign(body)
	if err := c.post(ctx, header, body); err != nil { // of a payment that isn't ours
		t.Error(err)
	}
	wantErr(t, c.post(ctx, nil, body), codes.PermissionDenied, payment.ReasonSignature)
	wantErr(t, c.post(ctx, header, append(body, ' ')), codes.PermissionDenied, payment.ReasonSignature)
	nonsense := []byte("nonsense")
	wantErr(t, c.post(ctx, c.bank.Sign(nonsense), nonsense), codes.InvalidArgument, payment.ReasonBadEvent)
	_, err := c.HandleWebhook(ctx, &paymentv1.HandleWebhookRequest{Provider: "stripe", Headers: header, Body: &httpbody.HttpBody{Data: body}})
	wantErr(t, err, codes.NotFound, payment.ReasonNoProvider)
	for name, req := range map[string]*paymentv1.HandleWebhookRequest{
		"no provider": {Headers: header, Body: &httpbody.HttpBody{Data: body}}, "no body": {Provider: "test", Headers: header},
	} {
		_, err := c.HandleWebhook(ctx, req)
		wantErr(t, err, codes.InvalidArgument, "INVALID_FIELDS")
		_ = name
	}
	c.later(provider.WebhookTolerance + time.Minute)
	wantErr(t, c.post(ctx, header, body), codes.PermissionDenied, payment.ReasonSignature)
}

// The provider tells what happened twice, late, out of order; the shop doesn't hear the answers to its own calls; it comes out right
// without anyone asking. At first the shop takes no event at all.
func TestTheProvidersOwnEvents(t *testing.T) {
	for _, url := range []string{"", "postgres"} {
		t.Run("on "+url, func(t *testing.T) {
			var c atomic.Pointer[till]
			var refusals, delivered atomic.Int64
			bank := testprovider.Config{Deliver: func(ctx context.Context, header map[string]string, body []byte) error {
				if c.Load() == nil || refusals.Add(1) < 3 {
					return errors.New("not now")
				}
				delivered.Add(1)
				return c.Load().post(ctx, header, body)
			}}
			c.Store(open(t, setup{url: url, bank: bank}))
			tokens := []string{"tok_visa", "tok_webhook_twice", "tok_webhook_late_300", "tok_webhook_disorder"}
			var orders []string
			for _, token := range tokens {
				order := uuid.NewString()
				orders = append(orders, order)
				c.Load().wire.fault.Store(lost)
				wantErr(t, second(c.Load().authorize(t.Context(), order, token, 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
				c.Load().wire.fault.Store(none)
			}
			for _, order := range orders {
				p := c.Load().becomes(order, authorized)
				c.Load().wire.fault.Store(lost)
				wantErr(t, second(c.Load().capture(t.Context(), p.GetId())), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
				wantErr(t, second(c.Load().refund(t.Context(), p.GetId(), uuid.NewString(), 100)), codes.FailedPrecondition, payment.ReasonRefundExceeds)
				c.Load().wire.fault.Store(none)
			}
			for _, order := range orders {
				c.Load().becomes(order, captured)
			}
			if delivered.Load() < 8 {
				t.Errorf("%d events were delivered", delivered.Load())
			}
			c.Load().booksAreRight(t.Errorf)
		})
	}
}
