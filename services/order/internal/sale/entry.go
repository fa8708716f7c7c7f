package sale

import "time"

// Entry is one thing that happened to an order.
type Entry struct {
	// Sequence is 1, 2, 3, ... of the order.
	Sequence int64
	// From is empty for the first entry, and the same as To when the entry isn't about the state.
	From, To State
	At       time.Time
	// Reason is what happened, in capitals.
	Reason string
	// Tell is the event that the other modules get; none when empty. It isn't kept.
	Tell Event
	// Refund is the one that Tell is about. It isn't kept.
	Refund Refund
}

// Event is what the other modules are told.
type Event string

// The events, by the names of their messages.
const (
	OrderConfirmed Event = "OrderConfirmed"
	OrderCancelled Event = "OrderCancelled"
	OrderPaid      Event = "OrderPaid"
	OrderShipped   Event = "OrderShipped"
	OrderDelivered Event = "OrderDelivered"
	OrderRefunded  Event = "OrderRefunded"
	OrderReturned  Event = "OrderReturned"
)

// What happened: the reasons of the entries.
const (
	Placed            = "PLACED"
	StockReserved     = "STOCK_RESERVED"
	MoneyAuthorized   = "MONEY_AUTHORIZED"
	WasConfirmed      = "CONFIRMED"
	MoneyCaptured     = "MONEY_CAPTURED"
	WasCancelled      = "CANCELLED"
	ParcelShipped     = "PARCEL_SHIPPED"
	ParcelDelivered   = "PARCEL_DELIVERED"
	GoodsReturned     = "GOODS_RETURNED"
	RefundAsked       = "REFUND_ASKED"
	RefundDone        = "REFUND_DONE"
	RefundRefused     = "REFUND_REFUSED"
	CustomerErased    = "CUSTOMER_ERASED"
	PaymentFoundLate  = "PAYMENT_FOUND_LATE"
	givenUpPrefix     = "GIVEN_UP:"
	afterCancelSuffix = "_AFTER_CANCEL"
)

// changes is what happened to an order since it was read.
type changes struct {
	fresh          []Entry
	lines, refunds bool
}

// Fresh returns the entries that aren't kept yet.
func (o *Order) Fresh() []Entry { return o.fresh }

// LinesChanged and RefundsChanged say whether they have to be written.
func (o *Order) LinesChanged() bool { return o.lines }

// RefundsChanged is described at LinesChanged.
func (o *Order) RefundsChanged() bool { return o.refunds }

// Kept says that everything is written, as this version of the row.
func (o *Order) Kept(version int64) {
	o.Version = version
	o.changes = changes{}
}

// happened moves the order to a state and writes it down.
func (o *Order) happened(to State, at time.Time, reason string, tell Event) *Entry {
	o.Sequence++
	o.fresh = append(o.fresh, Entry{Sequence: o.Sequence, From: o.State, To: to, At: at, Reason: reason, Tell: tell})
	o.State, o.Updated = to, at
	return &o.fresh[len(o.fresh)-1]
}
