package saga

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// undo lets go what a given up order may hold: money, goods and coupon at once, so that one that hangs doesn't keep the others. Money that
// was captured is asked back, and then undo comes again.
func (r *run) undo(ctx context.Context, o *sale.Order) error {
	var (
		all                  sync.WaitGroup
		money, goods, coupon error
		paid                 Payment
	)
	id, lines := o.ID, o.Lines
	if o.Holds.Payment {
		all.Go(func() { paid, money = r.letGo(ctx, id) })
	}
	if o.Holds.Stock {
		all.Go(func() { goods = r.giveBack(ctx, id, lines) })
	}
	if o.Holds.Coupon {
		all.Go(func() { coupon = r.freeCoupon(ctx, id) })
	}
	all.Wait()
	if err := errors.Join(money, goods, coupon); err != nil {
		return err
	}
	o.Holds.Stock, o.Holds.Coupon = false, false
	if paid.ID != "" {
		o.PaymentID = paid.ID
		o.Holds.Payment = false
	}
	if paid.State == PaymentCaptured {
		o.TakenAfterAll(paid.ID, paid.Captured)
		if o.Refundable().Minor > 0 {
			o.Holds.Payment = true
			if err := o.AskRefund(o.CancelRefundID(), sale.Money{}, sale.ForCancel, r.now()); err != nil {
				return err
			}
			return r.save(ctx, pointRefundAsked, o)
		}
	}
	if err := o.Cancel(r.now()); err != nil {
		return err
	}
	return r.save(ctx, pointCancelled, o)
}

// letGo voids what is held, and returns the payment as it stands then: zero when there is none.
func (r *run) letGo(ctx context.Context, id string) (Payment, error) {
	var paid Payment
	p := r.call(ctx, pointResolve, func() (err error) { paid, err = r.c.Payments.Resolve(ctx, id); return err })
	switch {
	case p != nil && notFound(p):
		return Payment{}, nil
	case p != nil:
		return Payment{}, fmt.Errorf("ask for the payment: %w", p)
	case paid.State == PaymentHeld || paid.State == PaymentPending:
		if p := r.call(ctx, pointVoid, func() error { return r.c.Payments.Void(ctx, paid.ID) }); p != nil {
			return Payment{}, fmt.Errorf("void the payment: %w", p)
		}
		paid.State = PaymentVoided
	}
	return paid, nil
}

// giveBack releases the goods, or puts them back into the stock when they were taken out of it.
func (r *run) giveBack(ctx context.Context, id string, lines []sale.Line) error {
	p := r.call(ctx, pointRelease, func() error { return r.c.Stock.Release(ctx, id) })
	switch {
	case p == nil:
		return nil
	case p.Reason != reasonReservationCommitted:
		return fmt.Errorf("release the stock: %w", p)
	}
	if p := r.call(ctx, pointRestock, func() error { return r.c.Stock.Restock(ctx, id, lines) }); p != nil {
		return fmt.Errorf("restock the goods: %w", p)
	}
	return nil
}

// freeCoupon gives the coupon's use back, a final one too: nothing of the order has left.
func (r *run) freeCoupon(ctx context.Context, id string) error {
	if p := r.call(ctx, pointFreeCoupon, func() error { return r.c.Coupons.ReleaseUse(ctx, id) }); p != nil {
		return fmt.Errorf("release the coupon: %w", p)
	}
	return nil
}

// refund gives the oldest refund that is asked for back to the customer.
func (r *run) refund(ctx context.Context, o *sale.Order) error {
	back, _ := o.NextRefund()
	p := r.call(ctx, pointRefund, func() error { return r.c.Payments.Refund(ctx, o.PaymentID, back) })
	switch {
	case p == nil:
		o.SettleRefund(back.ID, sale.Done, r.now())
		return r.save(ctx, pointRefunded, o)
	case refused(p) || p.Code == codes.AlreadyExists || p.Code == codes.NotFound:
		return r.refundRefused(ctx, o, back, p)
	default:
		return p
	}
}

// refundRefused writes down that a person has to look at it. A cancellation asks again, under another id, after a while.
func (r *run) refundRefused(ctx context.Context, o *sale.Order, back sale.Refund, p *problem.Error) error {
	r.c.Log.ErrorContext(ctx, "a refund was refused", "order_id", o.ID, "refund_id", back.ID, "alarm", true, "error", p)
	o.SettleRefund(back.ID, sale.Refused, r.now())
	if !o.GivenUp() {
		return r.save(ctx, pointRefunded, o)
	}
	refusals := int64(0)
	for _, f := range o.Refunds {
		if f.State == sale.Refused {
			refusals++
		}
	}
	o.Park(p.Reason, r.now().Add(r.backoff(refusals+4)))
	return r.write(ctx, pointRefunded, o)
}

// look looks once more for a payment of a cancelled order: an authorisation that was on its way when the order was given up.
func (r *run) look(ctx context.Context, o *sale.Order) error {
	if o.State == sale.Cancelled && o.Holds.Payment {
		paid, err := r.letGo(ctx, o.ID)
		switch {
		case err != nil:
			return err
		case paid.State == PaymentCaptured:
			return problem.Internal(fmt.Errorf("the money of cancelled order %s was captured", o.ID))
		case paid.ID != "":
			o.FoundLate(paid.ID, r.now())
		}
		o.Holds.Payment = false
	}
	return r.save(ctx, pointLooked, o)
}
