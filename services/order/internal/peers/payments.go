package peers

import (
	"context"
	"fmt"
	"slices"

	"github.com/cleavehq/cleave/chassis/problem"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Payments is saga.Payments over the payment module's contract.
type Payments struct{ client paymentv1.PaymentService }

var _ saga.Payments = (*Payments)(nil)

// NewPayments returns Payments that call client.
func NewPayments(client paymentv1.PaymentService) *Payments { return &Payments{client: client} }

// Authorize implements saga.Payments.
func (p *Payments) Authorize(ctx context.Context, orderID string, amount sale.Money, token sale.Token) (saga.Payment, error) {
	r, err := p.client.Authorize(ctx, &paymentv1.AuthorizeRequest{
		OrderId: orderID, Amount: &typev1.Money{Currency: amount.Currency, Minor: amount.Minor}, PaymentToken: token.Secret(),
	})
	if err != nil {
		return saga.Payment{}, fmt.Errorf("authorize payment: %w", err)
	}
	found, err := payment(r)
	if err == nil && found.State == saga.PaymentPending { // the provider's answer isn't known
		err = problem.Unavailable("PAYMENT_PENDING", "the payment is %s", r.GetState())
	}
	return found, err
}

// Resolve implements saga.Payments.
func (p *Payments) Resolve(ctx context.Context, orderID string) (saga.Payment, error) {
	r, err := p.client.Resolve(ctx, &paymentv1.ResolveRequest{OrderId: orderID})
	if err != nil {
		return saga.Payment{}, fmt.Errorf("resolve payment: %w", err)
	}
	return payment(r)
}

func payment(r *paymentv1.PaymentRecord) (saga.Payment, error) {
	found := saga.Payment{ID: r.GetId()}
	switch r.GetState() {
	case paymentv1.PaymentState_PAYMENT_STATE_PENDING:
		found.State = saga.PaymentPending
	case paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED:
		found.State = saga.PaymentHeld
	case paymentv1.PaymentState_PAYMENT_STATE_CAPTURED:
		found.State, found.Captured = saga.PaymentCaptured, money(r.GetCaptured())
	case paymentv1.PaymentState_PAYMENT_STATE_VOIDED:
		found.State = saga.PaymentVoided
	case paymentv1.PaymentState_PAYMENT_STATE_DECLINED:
		found.State = saga.PaymentDeclined
	default: // a state of a newer version of the contract: nothing that can be built on
		return saga.Payment{}, problem.Unavailable("PAYMENT_STATE_UNKNOWN", "the payment is %s", r.GetState())
	}
	return found, nil
}

// Capture implements saga.Payments.
func (p *Payments) Capture(ctx context.Context, paymentID string) error {
	r, err := p.client.Capture(ctx, &paymentv1.CaptureRequest{PaymentId: paymentID})
	return settled("capture payment", r, err, paymentv1.PaymentState_PAYMENT_STATE_CAPTURED)
}

// Void implements saga.Payments.
func (p *Payments) Void(ctx context.Context, paymentID string) error {
	r, err := p.client.Void(ctx, &paymentv1.VoidRequest{PaymentId: paymentID})
	return settled("void payment", r, err, paymentv1.PaymentState_PAYMENT_STATE_VOIDED, paymentv1.PaymentState_PAYMENT_STATE_DECLINED)
}

// Refund implements saga.Payments. A refund that is pending at the provider isn't done: it is asked for again.
func (p *Payments) Refund(ctx context.Context, paymentID string, back sale.Refund) error {
	r, err := p.client.Refund(ctx, &paymentv1.RefundRequest{
		PaymentId: paymentID, RefundId: back.ID, Reason: back.Reason, Amount: &typev1.Money{Currency: back.Amount.Currency, Minor: back.Amount.Minor},
	})
	if err != nil {
		return fmt.Errorf("refund payment: %w", err)
	}
	for _, known := range r.GetRefunds() {
		if known.GetId() != back.ID {
			continue
		}
		switch known.GetState() {
		case paymentv1.RefundState_REFUND_STATE_SUCCEEDED:
			return nil
		case paymentv1.RefundState_REFUND_STATE_FAILED:
			return problem.FailedPrecondition("REFUND_REFUSED", "the refund was refused")
		default:
			return problem.Unavailable("REFUND_PENDING", "the refund is %s", known.GetState())
		}
	}
	return problem.Internal(fmt.Errorf("refund payment: refund %s isn't in the answer", back.ID))
}

func settled(verb string, r *paymentv1.PaymentRecord, err error, want ...paymentv1.PaymentState) error {
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if !slices.Contains(want, r.GetState()) {
		return problem.Internal(fmt.Errorf("%s: the payment is %s", verb, r.GetState()))
	}
	return nil
}
