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

func states(p *paymentv1.PaymentRecord) (out []paymentv1.RefundState) {
	for _, r := range p.GetRefunds() {
		out = append(out, r.GetState())
	}
	return out
}

const (
	refundPending = paymentv1.RefundState_REFUND_STATE_PENDING
	refundDone    = paymentv1.RefundState_REFUND_STATE_SUCCEEDED
	refundFailed  = paymentv1.RefundState_REFUND_STATE_FAILED
)

func refunds(t *testing.T, c *till) {
	ctx, p := t.Context(), c.captured("tok_visa")
	first, second_ := uuid.NewString(), uuid.NewString()
	got, err := c.refund(ctx, p.GetId(), first, 400)
	if err != nil || got.GetRefunded().GetMinor() != 400 || got.GetCaptured().GetMinor() != 1000 || got.GetRefunds()[0].GetReason() != "for the test" {
		t.Fatalf("%v, %v", got, err)
	}
	again, err := c.refund(ctx, p.GetId(), first, 400)
	if err != nil || !proto.Equal(again, got) {
		t.Errorf("again: %v, %v", again, err)
	}
	wantErr(t, second(c.refund(ctx, p.GetId(), first, 401)), codes.AlreadyExists, payment.ReasonRefundDiffers)
	other := c.captured("tok_visa")
	wantErr(t, second(c.refund(ctx, other.GetId(), first, 400)), codes.AlreadyExists, payment.ReasonRefundDiffers)
	wantErr(t, second(c.refund(ctx, p.GetId(), uuid.NewString(), 601)), codes.FailedPrecondition, payment.ReasonRefundExceeds)
	got, err = c.refund(ctx, p.GetId(), second_, 600)
	if err != nil || got.GetRefunded().GetMinor() != 1000 || !slices.Equal(states(got), []paymentv1.RefundState{refundDone, refundDone}) {
		t.Errorf("%v, %v", got, err)
	}
	wantErr(t, second(c.refund(ctx, p.GetId(), uuid.NewString(), 1)), codes.FailedPrecondition, payment.ReasonRefundExceeds)
	wantErr(t, second(c.void(ctx, p.GetId())), codes.FailedPrecondition, payment.ReasonCaptured)
	if read := c.of(p.GetOrderId()); !proto.Equal(read, got) {
		t.Errorf("read %v, want %v", read, got)
	}
	// Authorized, captured, and for each refund that it began and that it ended.
	said := c.announced(p.GetId())
	if len(said) != 6 || !proto.Equal(said[5], got) || said[2].GetRefunds()[0].GetState() != refundPending {
		t.Errorf("the events said %v", said)
	}
	c.booksAreRight(t.Errorf)
}

func whatWasNotTakenIsNotGivenBack(t *testing.T, c *till) {
	ctx := t.Context()
	p, err := c.authorize(ctx, uuid.NewString(), "tok_visa", 1000)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, second(c.refund(ctx, p.GetId(), uuid.NewString(), 1)), codes.FailedPrecondition, payment.ReasonRefundExceeds)
	wantErr(t, second(c.refund(ctx, uuid.NewString(), uuid.NewString(), 1)), codes.NotFound, payment.ReasonNotFound)
	p = c.captured("tok_refund_declined")
	id := uuid.NewString()
	for range 2 {
		wantErr(t, second(c.refund(ctx, p.GetId(), id, 1000)), codes.FailedPrecondition, payment.ReasonRefundRefused)
	}
	if p = c.of(p.GetOrderId()); p.GetRefunded().GetMinor() != 0 || !slices.Equal(states(p), []paymentv1.RefundState{refundFailed}) {
		t.Errorf("%v", p)
	}
	wantErr(t, second(c.Refund(ctx, &paymentv1.RefundRequest{
		PaymentId: p.GetId(), RefundId: uuid.NewString(), Amount: &typev1.Money{Currency: "USD", Minor: 1},
	})), codes.InvalidArgument, payment.ReasonOutOfRange)
	for name, r := range map[string]*paymentv1.RefundRequest{
		"nothing":    {PaymentId: p.GetId(), RefundId: uuid.NewString(), Amount: euros(0)},
		"no amount":  {PaymentId: p.GetId(), RefundId: uuid.NewString()},
		"no id":      {PaymentId: p.GetId(), Amount: euros(1)},
		"no payment": {RefundId: uuid.NewString(), Amount: euros(1)},
	} {
		if _, err := c.Refund(ctx, r); problem.From(err) == nil || problem.From(err).Code != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.booksAreRight(t.Errorf)
}

// However many ask at once, no more is given back than was taken.
func refundsAtOnce(t *testing.T, c *till) {
	p := c.captured("tok_visa")
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = c.refund(context.Background(), p.GetId(), uuid.NewString(), 300) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantErr(t, err, codes.FailedPrecondition, payment.ReasonRefundExceeds)
		}
	}
	if p = c.of(p.GetOrderId()); won != 3 || p.GetRefunded().GetMinor() != 900 {
		t.Errorf("%d were made: %v", won, p)
	}
	want := []testprovider.Kind{testprovider.Hold, testprovider.Capture, testprovider.Refund, testprovider.Refund, testprovider.Refund}
	if got := c.moved(); !slices.Equal(got, want) {
		t.Errorf("the money moved so: %v", got)
	}
	c.booksAreRight(t.Errorf)
}

func aLostRefundIsOneRefund(t *testing.T, c *till) {
	ctx, p, id := t.Context(), c.captured("tok_refund_timeout"), uuid.NewString()
	wantErr(t, second(c.refund(ctx, p.GetId(), id, 700)), codes.DeadlineExceeded, payment.ReasonOutcomeUnknown)
	if got := c.of(p.GetOrderId()); !slices.Equal(states(got), []paymentv1.RefundState{refundPending}) || got.GetRefunded().GetMinor() != 0 {
		t.Errorf("%v", got)
	}
	// What is under way is not there to be given back again.
	wantErr(t, second(c.refund(ctx, p.GetId(), uuid.NewString(), 301)), codes.FailedPrecondition, payment.ReasonRefundExceeds)
	got, err := c.resolve(ctx, p.GetOrderId())
	if err != nil || got.GetRefunded().GetMinor() != 700 || !slices.Equal(states(got), []paymentv1.RefundState{refundDone}) {
		t.Errorf("%v, %v", got, err)
	}
	got, err = c.refund(ctx, p.GetId(), id, 700)
	if err != nil || got.GetRefunded().GetMinor() != 700 {
		t.Errorf("%v, %v", got, err)
	}
	if got := c.moved(); !slices.Equal(got, []testprovider.Kind{testprovider.Hold, testprovider.Capture, testprovider.Refund}) {
		t.Errorf("the money moved so: %v", got)
	}
	c.booksAreRight(t.Errorf)
}
