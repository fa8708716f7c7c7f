package pay

import (
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// RefundState is where a refund stands.
type RefundState string

// The states of a refund. The last two are final.
const (
	// RefundPending: written down, and the provider may have been asked; its answer is not known.
	RefundPending   RefundState = "pending"
	RefundSucceeded RefundState = "succeeded"
	RefundFailed    RefundState = "failed"
)

// Refund is money that goes back to the buyer.
type Refund struct {
	// ID is the caller's, and the idempotency key of the refund at the provider.
	ID        string
	PaymentID string
	State     RefundState
	// Minor units in the payment's currency; more than 0.
	Minor                  int64
	Reason                 string
	CreateTime, UpdateTime time.Time
}

// refund returns the payment's refund with this id, or nothing.
func (p Payment) refund(id string) Refund {
	for _, r := range p.Refunds {
		if r.ID == id {
			return r
		}
	}
	return Refund{}
}

// Begin is p with the refund r begun, and whether there is enough left of what was taken.
func (p Payment) Begin(r Refund) (Payment, bool) {
	if p.State != Captured || r.Minor <= 0 || r.Minor > p.Captured-p.Refunded-p.Refunding {
		return p, false
	}
	p.Refunding += r.Minor
	p.UpdateTime = r.CreateTime
	return p, true
}

// End is p with its pending refund r ended as to, and whether it was pending.
func (p Payment) End(r Refund, to RefundState, at time.Time) (Payment, bool) {
	if r.State != RefundPending || to == RefundPending {
		return p, false
	}
	p.Refunding -= r.Minor
	if to == RefundSucceeded {
		p.Refunded += r.Minor
	}
	p.UpdateTime = at
	return p, true
}

func refundExceeds(p Payment, minor int64) error {
	return problem.FailedPrecondition(ReasonRefundExceeds, "%d of %d %s are left to give back of payment %s, not %d",
		p.Captured-p.Refunded-p.Refunding, p.Captured, p.Amount.Currency, p.ID, minor)
}

func refundRefused(r Refund) error {
	return problem.FailedPrecondition(ReasonRefundRefused, "the payment provider refused the refund %s", r.ID)
}
