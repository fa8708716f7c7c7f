package saga

import (
	"context"
	"errors"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// call calls another module between its failpoints. What comes back is coded, and the payment token isn't in it.
func (r *run) call(ctx context.Context, point string, do func() error) *problem.Error {
	if err := Hit(ctx, r.c.Fault, point, do); err != nil {
		return r.token.Scrub(err)
	}
	return nil
}

// known says whether somebody gave the driver the payment token.
func (r *run) known() bool { return r.token != (sale.Token{}) }

// reserve takes the coupon's use and the stock. Without the token the order can never be paid: it is given up.
func (r *run) reserve(ctx context.Context, o *sale.Order) error {
	holds := o.Holds
	if !r.known() {
		return r.giveUp(ctx, o, Interrupted(errors.New("the process died that had the payment token")), holds)
	}
	if o.Coupon != "" {
		if p := r.call(ctx, pointRedeem, func() error { return r.c.Coupons.Redeem(ctx, o.ID, o.QuoteID) }); p != nil {
			holds.Coupon, holds.Stock = !r.nothing(p), !r.first
			return r.giveUp(ctx, o, why(p), holds)
		}
	}
	if p := r.call(ctx, pointReserve, func() error { return r.c.Stock.Reserve(ctx, o.ID, o.Lines) }); p != nil {
		holds.Stock = !r.nothing(p)
		return r.giveUp(ctx, o, why(p), holds)
	}
	if err := o.Reserve(r.now()); err != nil {
		return err
	}
	return r.save(ctx, pointReserved, o)
}

// nothing says that a call that failed left nothing to let go. One that wasn't sent says nothing of those that were sent before it.
func (r *run) nothing(p *problem.Error) bool { return refused(p) || unsent(p) && r.first }

// authorize has the money held. When the answer is lost, or the token isn't known any more, the provider is asked how it stands.
func (r *run) authorize(ctx context.Context, o *sale.Order) error {
	if !r.known() {
		return r.resolve(ctx, o, Interrupted(errors.New("the process died that had the payment token")))
	}
	var paid Payment
	r.asked = true
	p := r.call(ctx, pointAuthorize, func() (err error) {
		paid, err = r.c.Payments.Authorize(ctx, o.ID, o.Total, r.token)
		return err
	})
	switch {
	case p == nil:
		return r.paid(ctx, o, paid, Interrupted(errors.New("the payment was voided")))
	case r.nothing(p):
		holds := o.Holds
		holds.Payment = false
		return r.giveUp(ctx, o, why(p), holds)
	default:
		return r.resolve(ctx, o, why(p))
	}
}

// resolve asks the provider what became of the payment. cause is why the order is given up when there is none.
func (r *run) resolve(ctx context.Context, o *sale.Order, cause *problem.Error) error {
	var paid Payment
	p := r.call(ctx, pointResolve, func() (err error) { paid, err = r.c.Payments.Resolve(ctx, o.ID); return err })
	switch {
	case p == nil:
		return r.paid(ctx, o, paid, cause)
	case notFound(p):
		return r.giveUp(ctx, o, cause, o.Holds) // one may be on its way still: look looks again
	default:
		return p
	}
}

// paid goes on, or back, by where the payment stands.
func (r *run) paid(ctx context.Context, o *sale.Order, p Payment, cause *problem.Error) error {
	holds := o.Holds
	switch p.State {
	case PaymentHeld, PaymentCaptured:
		return r.authorized(ctx, o, p)
	case PaymentDeclined:
		holds.Payment = false
		return r.giveUp(ctx, o, problem.FailedPrecondition(sale.ReasonPaymentDeclined, "the payment was declined"), holds)
	case PaymentVoided:
		holds.Payment = false
		return r.giveUp(ctx, o, cause, holds)
	default: // the provider knows nothing of it: it is voided on the way back, so that it can't come to be
		return r.giveUp(ctx, o, cause, holds)
	}
}

// authorized writes that the money is held, and the confirmation with it: nothing is to be done between the two. An order that was left
// lying may have lost its stock meanwhile.
func (r *run) authorized(ctx context.Context, o *sale.Order, p Payment) error {
	if !r.first {
		if p := r.call(ctx, pointReserve, func() error { return r.c.Stock.Reserve(ctx, o.ID, o.Lines) }); p != nil {
			if refused(p) {
				return r.giveUp(ctx, o, why(p), o.Holds)
			}
			return p
		}
	}
	if err := o.Authorize(p.ID, r.now()); err != nil {
		return err
	}
	return r.confirm(ctx, o)
}

// confirm passes the point of no return.
func (r *run) confirm(ctx context.Context, o *sale.Order) error {
	if err := o.Confirm(r.now()); err != nil {
		return err
	}
	return r.save(ctx, pointConfirmed, o)
}

// settle does what the shop owes after the confirmation: the goods first, so that nobody is charged for what can't be had.
func (r *run) settle(ctx context.Context, o *sale.Order) error {
	if p := r.call(ctx, pointCommit, func() error { return r.c.Stock.Commit(ctx, o.ID) }); p != nil {
		return r.refusal(ctx, o, p)
	}
	if o.Coupon != "" {
		p := r.call(ctx, pointCommitCoupon, func() error { return r.c.Coupons.CommitUse(ctx, o.ID) })
		switch {
		case p == nil:
		case refused(p) || notFound(p): // the customer has the shop's word for the price
			r.c.Log.ErrorContext(ctx, "the use of a coupon could not be made final", "order_id", o.ID, "coupon", o.Coupon, "error", p)
		default:
			return p
		}
	}
	if p := r.call(ctx, pointCapture, func() error { return r.c.Payments.Capture(ctx, o.PaymentID) }); p != nil {
		return r.refusal(ctx, o, p)
	}
	if err := o.Capture(r.now()); err != nil {
		return err
	}
	return r.save(ctx, pointPaid, o)
}

// refusal takes a confirmed order back when the answer is no, and fails when there is none.
func (r *run) refusal(ctx context.Context, o *sale.Order, p *problem.Error) error {
	if !refused(p) {
		return p
	}
	r.c.Log.ErrorContext(ctx, "a confirmed order can't be kept and is taken back", "order_id", o.ID, "error", p)
	return r.giveUp(ctx, o, why(p), o.Holds)
}

// giveUp writes the decision that the order comes to nothing.
func (r *run) giveUp(ctx context.Context, o *sale.Order, because *problem.Error, holds sale.Holds) error {
	o.Holds = holds
	if err := o.GiveUp(sale.Refusal{Code: because.Code, Reason: because.Reason, Message: because.Message}, r.now()); err != nil {
		return err
	}
	if err := r.save(ctx, pointGivenUp, o); err != nil {
		return err
	}
	r.c.Log.InfoContext(ctx, "an order is given up", "order_id", o.ID, "state", o.State, "reason", because.Reason, "error", errors.Unwrap(because))
	return nil
}
