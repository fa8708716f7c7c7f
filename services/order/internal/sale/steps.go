package sale

import (
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Open writes the first entry of a new order and makes the caller its driver for ttl.
func (o *Order) Open(at time.Time, ttl time.Duration) {
	o.State, o.Created = "", at
	o.Holds = Holds{Stock: true, Coupon: o.Coupon != ""}
	o.Captured, o.Refunded = Money{Currency: o.Total.Currency}, Money{Currency: o.Total.Currency}
	o.happened(Pending, at, Placed, "")
	o.Epoch, o.Until, o.Next = 1, at.Add(ttl), at.Add(ttl)
}

// Reserve says that inventory has promised every line, and pricing the use of the coupon. From now on the money may be asked for.
func (o *Order) Reserve(at time.Time) error {
	if err := o.step(Pending, Reserved); err != nil {
		return err
	}
	o.Holds.Payment = true
	o.happened(Reserved, at, StockReserved, "")
	return nil
}

// Authorize says that payment holds the money.
func (o *Order) Authorize(paymentID string, at time.Time) error {
	if err := o.step(Reserved, Authorized); err != nil {
		return err
	}
	o.PaymentID = paymentID
	o.happened(Authorized, at, MoneyAuthorized, "")
	return nil
}

// Confirm is the point of no return.
func (o *Order) Confirm(at time.Time) error {
	if err := o.step(Authorized, Confirmed); err != nil {
		return err
	}
	o.Promised = true
	o.happened(Confirmed, at, WasConfirmed, OrderConfirmed)
	return nil
}

// Capture says that the goods are out of the stock and the money is taken.
func (o *Order) Capture(at time.Time) error {
	if err := o.step(Confirmed, Paid); err != nil {
		return err
	}
	o.Captured = o.Total
	o.happened(Paid, at, MoneyCaptured, OrderPaid)
	return nil
}

func (o *Order) step(from, to State) error {
	if o.State != from || o.GivenUp() {
		return problem.Aborted(ReasonOrderStateChanged, "order %s can't become %s: it is %s", o.ID, to, o.State)
	}
	return nil
}

// GiveUp decides that the order comes to nothing, and forbids every step but the way back. FAILED_PRECONDITION with ORDER_SHIPPED when
// something of it left, and ORDER_STATE_CHANGED when it is given up already, or its money went back.
func (o *Order) GiveUp(why Refusal, at time.Time) error {
	if o.GivenUp() {
		return problem.Aborted(ReasonOrderStateChanged, "order %s is given up already", o.ID)
	}
	for _, l := range o.Lines {
		if max(l.Shipped, l.Delivered, l.Returned) > 0 {
			return problem.FailedPrecondition(ReasonOrderShipped, "a part of the order has left: send it back instead")
		}
	}
	if !May(o.State, Cancelled) {
		return problem.FailedPrecondition(ReasonOrderStateChanged, "the order is %s, and can't be cancelled any more", o.State)
	}
	var tell Event
	if o.Captured.Minor > 0 || o.State == Paid {
		tell = OrderCancelled // who packs it has to hear of it at once, not when the money is back
	}
	o.happened(o.State, at, givenUpPrefix+why.Reason, tell)
	o.Why = why
	return nil
}

// Cancel says that nothing of a given up order is held any more, and that what was captured went back.
func (o *Order) Cancel(at time.Time) error {
	if !o.GivenUp() || o.State == Cancelled || o.asked() > 0 || o.Refunded.Minor != o.Captured.Minor {
		return problem.Aborted(ReasonOrderStateChanged, "order %s can't be cancelled: it is %s", o.ID, o.State)
	}
	tell := OrderCancelled
	if o.told() {
		tell = ""
	}
	o.happened(Cancelled, at, WasCancelled, tell)
	return nil
}

// told says whether GiveUp has told of the cancellation: it does so for a paid order, and nothing else has one of these states.
func (o *Order) told() bool {
	return o.State != Pending && o.State != Reserved && o.State != Authorized && o.State != Confirmed
}

// TakenAfterAll says that the money of a given up order was captured: by a capture that was on its way when the order was given up.
func (o *Order) TakenAfterAll(paymentID string, captured Money) {
	o.PaymentID, o.Captured = paymentID, captured
}

// FoundLate says that a payment of a cancelled order came to be after all; it is let go.
func (o *Order) FoundLate(paymentID string, at time.Time) {
	o.PaymentID = paymentID
	o.happened(o.State, at, PaymentFoundLate, "")
}

// Erase takes the person out of the order. What the tax office wants, the country and the amounts, stays.
func (o *Order) Erase(at time.Time) {
	o.Email, o.Fingerprint, o.Address = "", "", Address{Country: o.Address.Country}
	o.happened(o.State, at, CustomerErased, "")
}
