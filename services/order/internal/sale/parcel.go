package sale

import (
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Pieces is so many pieces of one SKU.
type Pieces struct {
	SKU      string
	Quantity int64
}

// Ship says that pieces have left. ORDER_LINE_UNKNOWN when they aren't of this order, or are too many.
func (o *Order) Ship(pieces []Pieces, at time.Time) error {
	if err := o.count(pieces, func(l *Line) *int64 { return &l.Shipped }); err != nil {
		return err
	}
	o.moved(at, ParcelShipped, OrderShipped)
	return nil
}

// Deliver says that pieces have arrived; that they left may be heard of later. Errors as Ship's.
func (o *Order) Deliver(pieces []Pieces, at time.Time) error {
	if err := o.count(pieces, func(l *Line) *int64 { return &l.Delivered }); err != nil {
		return err
	}
	var tell Event
	if o.arrived() {
		tell = OrderDelivered
	}
	o.moved(at, ParcelDelivered, tell)
	return nil
}

func (o *Order) arrived() bool {
	for _, l := range o.Lines {
		if l.Delivered < l.Quantity {
			return false
		}
	}
	return true
}

// Return says that pieces came back, and asks for what was paid for them: discount and tax included, and never more than is left. Errors as
// Ship's. returnID names the return, and so the refund.
func (o *Order) Return(returnID string, pieces []Pieces, at time.Time) error {
	before := o.Clone()
	if err := o.count(pieces, func(l *Line) *int64 { return &l.Returned }); err != nil {
		return err
	}
	back := Money{Currency: o.Captured.Currency}
	for i, l := range o.Lines {
		back.Minor += l.Share(l.Returned).Minor - l.Share(before.Lines[i].Returned).Minor
	}
	o.moved(at, GoodsReturned, OrderReturned)
	back.Minor = min(back.Minor, o.Refundable().Minor)
	if back.Minor <= 0 || o.GivenUp() {
		return nil
	}
	return o.AskRefund(o.RefundID(ForReturn+"/"+returnID), back, ForReturn, at)
}

// count adds pieces to one of the lines' counters: all of them or none.
func (o *Order) count(pieces []Pieces, counter func(*Line) *int64) error {
	if o.State == Pending || o.State == Reserved || o.State == Authorized || o.State == Confirmed && !o.GivenUp() {
		return problem.FailedPrecondition(ReasonOrderNotPaid, "order %s is %s: nothing of it can have left", o.ID, o.State)
	}
	lines := append([]Line(nil), o.Lines...)
	for _, p := range pieces {
		found := false
		for i := range lines {
			n := counter(&lines[i])
			if lines[i].SKU == p.SKU && p.Quantity > 0 && p.Quantity <= lines[i].Quantity-*n {
				*n += p.Quantity
				found = true
				break
			}
		}
		if !found {
			return problem.FailedPrecondition(ReasonLineUnknown, "order %s has no %d more of %s", o.ID, p.Quantity, p.SKU)
		}
	}
	o.Lines, o.lines = lines, true
	return nil
}

// moved writes down where the goods are. When the order is given up, it stays on its way to Cancelled, and the entry says that this came late.
func (o *Order) moved(at time.Time, reason string, tell Event) {
	if o.GivenUp() {
		o.happened(o.State, at, reason+afterCancelSuffix, "")
		return
	}
	o.happened(o.stands(), at, reason, tell)
}
