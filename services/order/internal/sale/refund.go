package sale

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/problem"
)

// RefundState is how far a refund came.
type RefundState string

// The states of a refund. The last two are final.
const (
	Asked   RefundState = "ASKED"
	Done    RefundState = "DONE"
	Refused RefundState = "REFUSED"
)

// The reasons of the refunds that nobody asks for in words.
const (
	ForReturn = "RETURN"
	ForCancel = "CANCEL"
)

// Refund is money that goes back. Its id names it at the payment module too.
type Refund struct {
	ID      string
	State   RefundState
	Amount  Money
	Reason  string
	Created time.Time
}

// RefundID derives the id of a refund from the order and what it is for: so it is asked for once, whoever asks.
func (o *Order) RefundID(key string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(o.ID+"/refund/"+key)).String()
}

// Refund returns a refund by its id.
func (o *Order) Refund(id string) (Refund, bool) {
	for _, r := range o.Refunds {
		if r.ID == id {
			return r, true
		}
	}
	return Refund{}, false
}

// asked is how much is to go back and isn't surely back.
func (o *Order) asked() (sum int64) {
	for _, r := range o.Refunds {
		if r.State == Asked {
			sum += r.Amount.Minor
		}
	}
	return sum
}

// Refundable is what can still be refunded.
func (o *Order) Refundable() Money {
	return Money{Currency: o.Captured.Currency, Minor: o.Captured.Minor - o.Refunded.Minor - o.asked()}
}

// AskRefund decides that money goes back. An amount of zero is all that is left. ORDER_NOT_PAID when nothing was captured,
// REFUND_TOO_LARGE when it is more than is left, or nothing is left; IDEMPOTENCY_KEY_REUSED when the id has another amount. An id that is
// known changes nothing.
func (o *Order) AskRefund(id string, amount Money, reason string, at time.Time) error {
	if known, ok := o.Refund(id); ok {
		if amount != (Money{}) && amount != known.Amount || reason != known.Reason {
			return problem.FailedPrecondition(ReasonKeyReused, "another refund was made with this key")
		}
		return nil
	}
	left := o.Refundable()
	if amount == (Money{}) {
		amount = left
	}
	switch {
	case o.Captured.Minor == 0:
		return problem.FailedPrecondition(ReasonOrderNotPaid, "nothing was charged for the order, so nothing can go back")
	case amount.Currency != left.Currency:
		return problem.FailedPrecondition(ReasonCurrencyMismatch, "the order was paid in %s", left.Currency)
	case amount.Minor <= 0 || amount.Minor > left.Minor:
		return problem.FailedPrecondition(ReasonRefundTooLarge, "%d of %s can go back, at least 1", left.Minor, left.Currency)
	}
	o.Refunds = append(o.Refunds, Refund{ID: id, State: Asked, Amount: amount, Reason: reason, Created: at})
	o.refunds = true
	o.happened(o.State, at, RefundAsked, "")
	o.Wake(at)
	return nil
}

// CancelRefundID is the id of the refund of a cancellation: a new one when the last was refused.
func (o *Order) CancelRefundID() string {
	refused := 0
	for _, r := range o.Refunds {
		if r.Reason == ForCancel && r.State == Refused {
			refused++
		}
	}
	return o.RefundID(ForCancel + "/" + strconv.Itoa(refused))
}

// NextRefund returns the oldest refund that is asked for and not settled.
func (o *Order) NextRefund() (Refund, bool) {
	for _, r := range o.Refunds {
		if r.State == Asked {
			return r, true
		}
	}
	return Refund{}, false
}

// SettleRefund says what became of a refund that was asked for: Done or Refused. One that is settled already stays as it is.
func (o *Order) SettleRefund(id string, to RefundState, at time.Time) {
	for i := range o.Refunds {
		r := &o.Refunds[i]
		if r.ID != id || r.State != Asked {
			continue
		}
		r.State, o.refunds = to, true
		if to != Done {
			o.happened(o.State, at, RefundRefused, "")
			return
		}
		o.Refunded.Minor += r.Amount.Minor
		o.happened(o.now(), at, RefundDone, OrderRefunded).Refund = *r
		return
	}
}

// now is the state that the facts say, or the one that is, while the order is on its way to Cancelled.
func (o *Order) now() State {
	if o.GivenUp() {
		return o.State
	}
	return o.stands()
}
