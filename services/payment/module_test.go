package payment_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

func authorizeAndCapture(t *testing.T, c *till) {
	ctx, order := t.Context(), uuid.NewString()
	first, err := c.authorize(ctx, order, "tok_visa", 1999)
	wantState(t, first, err, paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED)
	if first.GetOrderId() != order || first.GetAmount().GetMinor() != 1999 || first.GetProviderRef() == "" {
		t.Errorf("got %v", first)
	}
	// Again, with another card even: an order has one payment.
	again, err := c.authorize(ctx, order, "tok_declined", 1999)
	if err != nil || !proto.Equal(again, first) {
		t.Errorf("again: %v, %v", again, err)
	}
	wantErr(t, second(c.authorize(ctx, order, "tok_visa", 2000)), codes.AlreadyExists, payment.ReasonDiffers)
	for range 2 {
		p, err := c.capture(ctx, first.GetId())
		wantState(t, p, err, paymentv1.PaymentState_PAYMENT_STATE_CAPTURED)
	}
	wantErr(t, second(c.void(ctx, first.GetId())), codes.FailedPrecondition, payment.ReasonCaptured)
	if got := c.moved(); !slices.Equal(got, []testprovider.Kind{testprovider.Hold, testprovider.Capture}) {
		t.Errorf("the money moved so: %v", got)
	}
	got, err := c.GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: first.GetId()})
	wantState(t, got, err, paymentv1.PaymentState_PAYMENT_STATE_CAPTURED)
	nobody := uuid.NewString()
	wantErr(t, second(c.GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: nobody})), codes.NotFound, payment.ReasonNotFound)
	wantErr(t, second(c.capture(ctx, nobody)), codes.NotFound, payment.ReasonNotFound)
	wantErr(t, second(c.void(ctx, nobody)), codes.NotFound, payment.ReasonNotFound)
}

func aDeclineHoldsNothing(t *testing.T, c *till) {
	ctx, order := t.Context(), uuid.NewString()
	for range 2 { // final: another card needs another order
		wantErr(t, second(c.authorize(ctx, order, "tok_insufficient_funds", 500)), codes.FailedPrecondition, payment.ReasonDeclined)
	}
	wantErr(t, second(c.authorize(ctx, order, "tok_visa", 500)), codes.FailedPrecondition, payment.ReasonDeclined)
	list, err := c.ListPayments(ctx, &paymentv1.ListPaymentsRequest{OrderId: order})
	if err != nil || len(list.GetPayments()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	p := list.GetPayments()[0]
	wantState(t, p, nil, paymentv1.PaymentState_PAYMENT_STATE_DECLINED)
	if p.GetDeclineCode() != "insufficient_funds" {
		t.Errorf("declined for %q", p.GetDeclineCode())
	}
	wantErr(t, second(c.capture(ctx, p.GetId())), codes.FailedPrecondition, payment.ReasonDeclined)
	if got := c.moved(); len(got) != 0 {
		t.Errorf("money moved: %v", got)
	}
}

func aLostAnswerIsAskedForAgain(t *testing.T, c *till) {
	ctx, order := t.Context(), uuid.NewString()
	wantErr(t, second(c.authorize(ctx, order, "tok_timeout_after_charge", 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	list, err := c.ListPayments(ctx, &paymentv1.ListPaymentsRequest{OrderId: order})
	if err != nil || len(list.GetPayments()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	wantState(t, list.GetPayments()[0], nil, paymentv1.PaymentState_PAYMENT_STATE_PENDING)
	p, err := c.authorize(ctx, order, "tok_timeout_after_charge", 700)
	wantState(t, p, err, paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED)
	if got := c.moved(); !slices.Equal(got, []testprovider.Kind{testprovider.Hold}) {
		t.Errorf("the money moved so: %v", got)
	}

	// Not asked for again, but let go: the provider is asked what became of it.
	order = uuid.NewString()
	wantErr(t, second(c.authorize(ctx, order, "tok_timeout_after_charge", 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	list, err = c.ListPayments(ctx, &paymentv1.ListPaymentsRequest{OrderId: order})
	if err != nil || len(list.GetPayments()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	p, err = c.void(ctx, list.GetPayments()[0].GetId())
	wantState(t, p, err, paymentv1.PaymentState_PAYMENT_STATE_VOIDED)
	if got := c.moved(); !slices.Equal(got, []testprovider.Kind{testprovider.Hold, testprovider.Hold, testprovider.Void}) {
		t.Errorf("the money moved so: %v", got)
	}
	wantErr(t, second(c.authorize(ctx, order, "tok_visa", 700)), codes.FailedPrecondition, payment.ReasonVoided)

	// A provider that surely did nothing.
	order = uuid.NewString()
	wantErr(t, second(c.authorize(ctx, order, "tok_unavailable", 700)), codes.Unavailable, payment.ReasonUnavailable)
	p, err = c.authorize(ctx, order, "tok_visa", 700)
	wantState(t, p, err, paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED)
}

func oneOrderIsChargedOnce(t *testing.T, c *till) {
	order := uuid.NewString()
	var wg sync.WaitGroup
	ids := make([]string, 32)
	for i := range ids {
		wg.Go(func() {
			p, err := c.authorize(context.Background(), order, "tok_visa", 100)
			if err != nil {
				t.Error(err)
			}
			ids[i] = p.GetId()
		})
	}
	wg.Wait()
	if all := slices.Compact(slices.Sorted(slices.Values(ids))); len(all) != 1 {
		t.Errorf("one order has the payments %v", all)
	}
	// Capture and Void at once: one of them wins, and the record says which.
	var mu sync.Mutex
	won := map[string]bool{}
	for i := range 16 {
		wg.Go(func() {
			what, do := "capture", c.capture
			if i%2 == 0 {
				what, do = "void", c.void
			}
			_, err := do(context.Background(), ids[0])
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won[what] = true
			} else if p := problem.From(err); p.Code != codes.FailedPrecondition {
				t.Errorf("the loser, a %s, was told %v", what, err)
			}
		})
	}
	wg.Wait()
	p, err := c.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{PaymentId: ids[0]})
	if err != nil {
		t.Fatal(err)
	}
	want := []testprovider.Kind{testprovider.Hold, testprovider.Capture}
	if p.GetState() == paymentv1.PaymentState_PAYMENT_STATE_VOIDED {
		want[1] = testprovider.Void
	}
	if got := c.moved(); !slices.Equal(got, want) || len(won) != 1 {
		t.Errorf("the record says %v, the bank %v, the callers %v", p.GetState(), got, won)
	}
}

func TestPagesAreCompleteAndNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, c *till) {
		var all []string
		for range 11 {
			p, err := c.authorize(t.Context(), uuid.NewString(), "tok_visa", 100)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p.GetId())
		}
		slices.Reverse(all)
		for _, size := range []int32{1, 3, 10, 11, 12, 0} {
			var seen []string
			req := &paymentv1.ListPaymentsRequest{PageSize: size}
			for {
				page, err := c.ListPayments(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range page.GetPayments() {
					seen = append(seen, p.GetId())
				}
				if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
					break
				}
			}
			if !slices.Equal(seen, all) {
				t.Errorf("by %d: %v, want %v", size, seen, all)
			}
		}
		wantErr(t, second(c.ListPayments(t.Context(), &paymentv1.ListPaymentsRequest{PageToken: "nope"})), codes.InvalidArgument, payment.ReasonPageTokenInvalid)
	})
}

func nothingIsAskedTwiceOfTheBank(t *testing.T, c *till) {
	ctx := t.Context()
	// Voided before anything is held: the order can't be paid any more.
	order := uuid.NewString()
	wantErr(t, second(c.authorize(ctx, order, "tok_unavailable", 300)), codes.Unavailable, payment.ReasonUnavailable)
	list, err := c.ListPayments(ctx, &paymentv1.ListPaymentsRequest{OrderId: order})
	if err != nil || len(list.GetPayments()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	id := list.GetPayments()[0].GetId()
	wantErr(t, second(c.capture(ctx, id)), codes.FailedPrecondition, payment.ReasonNotAuthorized)
	first, err := c.void(ctx, id)
	wantState(t, first, err, paymentv1.PaymentState_PAYMENT_STATE_VOIDED)
	again, err := c.void(ctx, id)
	if err != nil || !proto.Equal(again, first) {
		t.Errorf("void again: %v, %v; want %v", again, err, first)
	}
	wantErr(t, second(c.capture(ctx, id)), codes.FailedPrecondition, payment.ReasonVoided)
	wantErr(t, second(c.authorize(ctx, order, "tok_visa", 300)), codes.FailedPrecondition, payment.ReasonVoided)
	if got := c.moved(); len(got) != 0 {
		t.Errorf("money moved: %v", got)
	}

	// A declined payment has nothing to void.
	order = uuid.NewString()
	wantErr(t, second(c.authorize(ctx, order, "tok_declined", 300)), codes.FailedPrecondition, payment.ReasonDeclined)
	list, err = c.ListPayments(ctx, &paymentv1.ListPaymentsRequest{OrderId: order})
	if err != nil || len(list.GetPayments()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	p, err := c.void(ctx, list.GetPayments()[0].GetId())
	wantState(t, p, err, paymentv1.PaymentState_PAYMENT_STATE_DECLINED)
}

func TestBadRequestsAreRefused(t *testing.T) {
	c := open(t, setup{})
	ctx, order := t.Context(), uuid.NewString()
	for name, err := range map[string]error{
		"no order":       second(c.authorize(ctx, "", "tok_visa", 1)),
		"order":          second(c.authorize(ctx, "nope", "tok_visa", 1)),
		"negative":       second(c.authorize(ctx, order, "tok_visa", -1)),
		"too much":       second(c.authorize(ctx, order, "tok_visa", 1_000_000_000_000_001)),
		"no token":       second(c.authorize(ctx, order, "", 1)),
		"card number":    second(c.authorize(ctx, order, "4242424242424242", 1)),
		"no amount":      second(c.Authorize(ctx, &paymentv1.AuthorizeRequest{OrderId: order, PaymentToken: "tok_visa"})),
		"currency":       second(c.Authorize(ctx, &paymentv1.AuthorizeRequest{OrderId: order, PaymentToken: "tok_visa", Amount: &typev1.Money{Currency: "eur"}})),
		"capture":        second(c.capture(ctx, "nope")),
		"void":           second(c.void(ctx, "nope")),
		"get":            second(c.GetPayment(ctx, &paymentv1.GetPaymentRequest{})),
		"page too large": second(c.ListPayments(ctx, &paymentv1.ListPaymentsRequest{PageSize: 501})),
		"page negative":  second(c.ListPayments(ctx, &paymentv1.ListPaymentsRequest{PageSize: -1})),
		"list's order":   second(c.ListPayments(ctx, &paymentv1.ListPaymentsRequest{OrderId: "nope"})),
	} {
		if p := problem.From(err); p == nil || p.Code != codes.InvalidArgument {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := c.moved(); len(got) != 0 {
		t.Errorf("money moved: %v", got)
	}
}
