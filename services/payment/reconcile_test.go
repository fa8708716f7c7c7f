package payment_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/payment/provider"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

const (
	pending    = paymentv1.PaymentState_PAYMENT_STATE_PENDING
	authorized = paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED
	captured   = paymentv1.PaymentState_PAYMENT_STATE_CAPTURED
	voided     = paymentv1.PaymentState_PAYMENT_STATE_VOIDED
	declined   = paymentv1.PaymentState_PAYMENT_STATE_DECLINED
)

func resolveAsksAndNeverGuesses(t *testing.T, c *till) {
	ctx, order := t.Context(), uuid.NewString()
	wantErr(t, second(c.resolve(ctx, order)), codes.NotFound, payment.ReasonNotFound)
	// Charged, and the answer lost.
	wantErr(t, second(c.authorize(ctx, order, "tok_timeout_after_charge", 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	c.wire.fault.Store(refused)
	wantErr(t, second(c.resolve(ctx, order)), codes.Unavailable, payment.ReasonUnavailable)
	c.wire.fault.Store(dropped)
	wantErr(t, second(c.resolve(ctx, order)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	wantState(t, c.of(order), nil, pending)
	c.wire.fault.Store(none)
	for range 2 {
		p, err := c.resolve(ctx, order)
		wantState(t, p, err, authorized)
	}
	// Captured, and the answer lost.
	c.wire.fault.Store(lost)
	wantErr(t, second(c.capture(ctx, c.of(order).GetId())), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	c.wire.fault.Store(none)
	p, err := c.resolve(ctx, order)
	wantState(t, p, err, captured)

	// Declined, and the answer lost.
	order = uuid.NewString()
	c.wire.fault.Store(lost)
	wantErr(t, second(c.authorize(ctx, order, "tok_expired_card", 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	c.wire.fault.Store(none)
	p, err = c.resolve(ctx, order)
	wantState(t, p, err, declined)
	if p.GetDeclineCode() != "expired_card" {
		t.Errorf("declined for %q", p.GetDeclineCode())
	}

	// The request was lost, or is on its way: it stays pending, until it is voided. Then it can't come to be any more.
	order = uuid.NewString()
	c.wire.fault.Store(late)
	wantErr(t, second(c.authorize(ctx, order, "tok_visa", 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	c.wire.fault.Store(none)
	p, err = c.resolve(ctx, order)
	wantState(t, p, err, pending)
	p, err = c.void(ctx, p.GetId())
	wantState(t, p, err, voided)
	c.wire.land()
	p, err = c.resolve(ctx, order)
	wantState(t, p, err, voided)
	want := []testprovider.Kind{testprovider.Hold, testprovider.Capture, testprovider.Hold, testprovider.Void}
	if got := c.moved(); !slices.Equal(got, want) {
		t.Errorf("the money moved so: %v", got)
	}
	c.booksAreRight(t.Errorf)
}

// Nobody asks again: the reconciler does.
func whatNobodyAsksForIsSettled(t *testing.T, c *till) {
	ctx := t.Context()
	charged, abandoned, tooLate := uuid.NewString(), uuid.NewString(), uuid.NewString()
	wantErr(t, second(c.authorize(ctx, charged, "tok_timeout_after_charge", 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	wantErr(t, second(c.authorize(ctx, abandoned, "tok_unavailable", 700)), codes.Unavailable, payment.ReasonUnavailable)
	taken, letGo, back := uuid.NewString(), uuid.NewString(), c.captured("tok_refund_timeout")
	for order, token := range map[string]string{taken: "tok_capture_timeout", letGo: "tok_void_unavailable"} {
		if _, err := c.authorize(ctx, order, token, 700); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, second(c.capture(ctx, c.of(taken).GetId())), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	wantErr(t, second(c.void(ctx, c.of(letGo).GetId())), codes.Unavailable, payment.ReasonUnavailable)
	wantErr(t, second(c.refund(ctx, back.GetId(), uuid.NewString(), 1000)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	c.wire.fault.Store(late)
	wantErr(t, second(c.authorize(ctx, tooLate, "tok_visa", 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	c.wire.fault.Store(none)

	c.later(time.Minute)
	c.becomes(charged, authorized)
	c.becomes(letGo, voided)
	c.becomes(taken, captured)
	c.eventually("the refund is made", func() bool { return c.of(back.GetOrderId()).GetRefunded().GetMinor() == 1000 })
	wantState(t, c.of(abandoned), nil, pending)
	c.later(2 * time.Hour)
	c.becomes(abandoned, voided)
	c.becomes(tooLate, voided)
	wantErr(t, second(c.authorize(ctx, abandoned, "tok_visa", 700)), codes.FailedPrecondition, payment.ReasonVoided)
	c.wire.land()
	c.later(2 * time.Hour)
	c.eventually("the late hold is let go", func() bool {
		return c.of(tooLate).GetProviderRef() != ""
	})
	charges, err := c.bank.Charges(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]provider.State{}
	for _, charge := range charges {
		got[charge.Order] = charge.State
	}
	for order, want := range map[string]provider.State{
		charged: provider.Held, taken: provider.Captured, letGo: provider.Voided, back.GetOrderId(): provider.Captured,
		tooLate: provider.Voided, abandoned: provider.Unknown,
	} {
		if got[order] != want {
			t.Errorf("the bank says %v, want %v", got[order], want)
		}
	}
	c.booksAreRight(t.Errorf)
}

// What someone does at the provider, past the shop, is seen and reported, and what is put right leaves the list.
func discrepanciesAreReported(t *testing.T, c *till) {
	ctx := t.Context()
	_, wrong := c.captured("tok_visa"), c.captured("tok_visa")
	if err := c.bank.Refund(ctx, wrong.GetProviderRef(), "by hand", provider.Money{Currency: "EUR", Minor: 250}); err != nil {
		t.Fatal(err)
	}
	lapsed, err := c.authorize(ctx, uuid.NewString(), "tok_visa", 500)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.bank.Void(ctx, lapsed.GetProviderRef(), "lapsed"); err != nil {
		t.Fatal(err)
	}
	c.later(25 * time.Hour)
	list := func() []*paymentv1.Discrepancy {
		out, err := c.ListDiscrepancies(ctx, &paymentv1.ListDiscrepanciesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetDiscrepancies()
	}
	c.eventually("the refund by hand is reported", func() bool { return len(list()) > 0 })
	d := list()[0]
	if d.GetPaymentId() != wrong.GetId() || d.GetWhat() != "refunded" || d.GetLedger().GetMinor() != 0 || d.GetProvider().GetMinor() != 250 {
		t.Errorf("%v", d)
	}
	c.becomes(lapsed.GetOrderId(), voided) // a hold that lapsed is no difference: it is written down
	// As long as it is there it stays in the list, from when it was first seen.
	if _, err := c.db.ExecContext(ctx, "UPDATE discrepancy SET provider_minor = 7"); err != nil {
		t.Fatal(err)
	}
	c.later(2 * time.Hour)
	c.eventually("it is looked at again", func() bool { return len(list()) == 1 && list()[0].GetProvider().GetMinor() == 250 })
	if again := list()[0]; !again.GetCreateTime().AsTime().Equal(d.GetCreateTime().AsTime()) {
		t.Errorf("first seen at %v, then at %v", d.GetCreateTime(), again.GetCreateTime())
	}
	// A person mends it, by a transaction of its own.
	if _, err := c.db.ExecContext(ctx, `INSERT INTO ledger_entries (transaction_id, account, currency, debit, credit, payment_id, at)
		VALUES ('mended', 'refunds', 'EUR', 250, 0, $1, 1), ('mended', 'provider:balance', 'EUR', 0, 250, $1, 1)`, wrong.GetId()); err != nil {
		t.Fatal(err)
	}
	c.later(2 * time.Hour)
	c.eventually("it leaves the list", func() bool { return len(list()) == 0 })
}

func discrepanciesComeInPages(t *testing.T, c *till) {
	ctx := t.Context()
	var want []string
	for i := range 5 {
		p := c.captured("tok_visa")
		_, err := c.db.ExecContext(ctx, `INSERT INTO discrepancy (payment_id, what, currency, ledger_minor, provider_minor, created_at)
			VALUES ($1, 'held', 'EUR', 1, 2, $2), ($1, 'captured', 'EUR', 1, 2, $2)`, p.GetId(), i/2)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, p.GetId()+"captured", p.GetId()+"held")
	}
	for _, size := range []int32{1, 3, 10, 0} {
		var got []string
		req := &paymentv1.ListDiscrepanciesRequest{PageSize: size}
		for {
			page, err := c.ListDiscrepancies(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page.GetDiscrepancies() {
				got = append(got, d.GetPaymentId()+d.GetWhat())
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v, want %v", size, got, want)
		}
	}
	wantErr(t, second(c.ListDiscrepancies(ctx, &paymentv1.ListDiscrepanciesRequest{PageToken: "nope"})), codes.InvalidArgument, payment.ReasonPageTokenInvalid)
}

// A process that dies, or fails, before or after the provider is asked: the point is hit, and nothing is lost.
func TestFaultsBetweenTheProviderAndTheRecord(t *testing.T) {
	faults := "payment.authorize.after=error*1;payment.capture.before=error*1;payment.capture.after=error*1;payment.void.before=error*1;" +
		"payment.void.after=error*1;payment.refund.before=error*1;payment.refund.after=error*1"
	eachWith(t, setup{faults: faults}, func(t *testing.T, c *till) {
		ctx, order, back := t.Context(), uuid.NewString(), uuid.NewString()
		wantErr(t, second(c.authorize(ctx, order, "tok_visa", 700)), codes.Unavailable, payment.ReasonOutcomeUnknown)
		wantState(t, c.of(order), nil, pending)
		p, err := c.resolve(ctx, order)
		wantState(t, p, err, authorized)
		wantErr(t, second(c.capture(ctx, p.GetId())), codes.Unavailable, payment.ReasonUnavailable)
		if got := c.moved(); len(got) != 1 {
			t.Errorf("the money moved so: %v", got)
		}
		wantErr(t, second(c.capture(ctx, p.GetId())), codes.Unavailable, payment.ReasonOutcomeUnknown)
		p, err = c.capture(ctx, p.GetId())
		wantState(t, p, err, captured)
		wantErr(t, second(c.refund(ctx, p.GetId(), back, 700)), codes.Unavailable, payment.ReasonUnavailable)
		wantErr(t, second(c.refund(ctx, p.GetId(), back, 700)), codes.Unavailable, payment.ReasonOutcomeUnknown)
		if p, err = c.refund(ctx, p.GetId(), back, 700); err != nil || p.GetRefunded().GetMinor() != 700 {
			t.Errorf("%v, %v", p, err)
		}
		p, err = c.authorize(ctx, uuid.NewString(), "tok_visa", 700)
		wantState(t, p, err, authorized)
		wantErr(t, second(c.void(ctx, p.GetId())), codes.Unavailable, payment.ReasonUnavailable)
		wantErr(t, second(c.void(ctx, p.GetId())), codes.Unavailable, payment.ReasonOutcomeUnknown)
		p, err = c.void(ctx, p.GetId())
		wantState(t, p, err, voided)
		want := []testprovider.Kind{testprovider.Hold, testprovider.Capture, testprovider.Refund, testprovider.Hold, testprovider.Void}
		if got := c.moved(); !slices.Equal(got, want) {
			t.Errorf("the money moved so: %v", got)
		}
		c.booksAreRight(t.Errorf)
	})
}
