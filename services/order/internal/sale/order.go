package sale

import (
	"math/bits"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Order is one order. Its exported fields are read freely; they are changed by its methods alone.
type Order struct {
	// ID is a UUIDv7; it names the stock's reservation and the coupon's redemption too.
	ID string
	// RequestID is the caller's, or empty. Fingerprint tells whether a request that comes again is the same one; empty when it can't
	// be told any more, because the customer was erased.
	RequestID, Fingerprint string
	CartID, CustomerID     string
	Email                  string
	Address                Address
	// Lines are by the cart's order; no SKU is there twice.
	Lines           []Line
	QuoteID, Coupon string
	// Subtotal, Discount, Tax and Total are the sums of the lines'.
	Subtotal, Discount, Tax, Total Money
	State                          State
	// PaymentID is empty until the money is held.
	PaymentID string
	// Captured is what was taken from the customer, Refunded what surely went back of it. Refunds that are asked for are not in it.
	Captured, Refunded Money
	Refunds            []Refund
	// Why the order was given up; none unless it was. It is there before the order is Cancelled: from the moment of the
	// decision, which allows no step but the way back.
	Why Refusal
	// Promised: it was confirmed once, and its customer was told so.
	Promised bool
	// Holds is what the order may hold at other modules, as far as is known.
	Holds            Holds
	Created, Updated time.Time
	// Trace is the traceparent of the request that made the order, or empty: whoever drives the order later goes on in it, or links to it.
	Trace string

	// Version of the row that it was read from; a write of another version is refused.
	Version int64
	// Sequence of the last entry of its history.
	Sequence int64
	Work
	changes
}

// Holds is what an order that is given up may have to let go.
type Holds struct{ Stock, Coupon, Payment bool }

// Address is where the parcel goes.
type Address struct{ Name, Line1, Line2, City, PostalCode, Country string }

// Check refuses what no label can show and not every database can keep.
func (a Address) Check() error {
	var wrong []problem.Field
	for _, f := range []struct{ name, value string }{
		{"name", a.Name}, {"line1", a.Line1}, {"line2", a.Line2}, {"city", a.City}, {"postal_code", a.PostalCode}, {"country", a.Country},
	} {
		if strings.ContainsFunc(f.value, unicode.IsControl) {
			wrong = append(wrong, problem.Field{Path: "shipping_address." + f.name, Message: "must have no control characters"})
		}
	}
	if len(wrong) > 0 {
		return problem.Invalid(wrong...)
	}
	return nil
}

// Line is one line, at the price it is sold for.
type Line struct {
	SKU, Title string
	Quantity   int64
	// Unit is the price of one piece.
	Unit Money
	// Discount and Tax are this line's; Total is what it costs with both.
	Discount, Tax, Total Money
	// Shipped, Delivered and Returned count pieces, each at most Quantity.
	Shipped, Delivered, Returned int64
}

// Subtotal returns unit price x quantity.
func (l Line) Subtotal() (Money, error) { return l.Unit.Times(l.Quantity) }

// Share returns what the first n pieces of the line cost, discount and tax included, rounded down: the shares of all its pieces add up to
// the line's total, in whatever portions they are taken.
func (l Line) Share(n int64) Money {
	if n <= 0 || l.Quantity <= 0 || l.Total.Minor <= 0 {
		return Money{Currency: l.Total.Currency}
	}
	n = min(n, l.Quantity) // so that the result is at most Total
	hi, lo := bits.Mul64(uint64(l.Total.Minor), uint64(n))
	share, _ := bits.Div64(hi, lo, uint64(l.Quantity))
	return Money{Currency: l.Total.Currency, Minor: int64(share)} //nolint:gosec // at most Total
}

// Refusal is why an order came to nothing, as every caller who asks for it is told.
type Refusal struct {
	Code            codes.Code
	Reason, Message string
}

// None says that nothing was refused.
func (r Refusal) None() bool { return r.Code == codes.OK }

// Err returns the refusal as a coded error, or nil when there is none.
func (r Refusal) Err() error {
	if r.None() {
		return nil
	}
	return problem.New(r.Code, r.Reason, "%s", r.Message)
}

// GivenUp says that it was decided that the order comes to nothing, whether or not that is done.
func (o *Order) GivenUp() bool { return !o.Why.None() }

// Clone returns a copy that shares nothing with o.
func (o *Order) Clone() Order {
	c := *o
	c.Lines = append([]Line(nil), o.Lines...)
	c.Refunds = append([]Refund(nil), o.Refunds...)
	c.fresh = append([]Entry(nil), o.fresh...)
	return c
}
