package saga

import (
	"context"
	"time"

	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Store keeps orders. Its errors are coded, or the database's.
type Store interface {
	// Get returns an order, or ORDER_NOT_FOUND.
	Get(ctx context.Context, id string) (sale.Order, error)
	// Save writes all that changed of o, the entries of its history and the events that they tell of, in one transaction, and marks it as
	// kept. ABORTED with ORDER_STATE_CHANGED when the row has another version by now: then nothing is written.
	Save(ctx context.Context, o *sale.Order) error
	// Due returns the ids of at most limit orders that are to be looked at by now, those that wait longest first.
	Due(ctx context.Context, now time.Time, limit int) ([]string, error)
}

// What a saga needs of the world. Every call may fail without an answer (UNAVAILABLE, DEADLINE_EXCEEDED): then it may have been
// done or not, and, as all of them are idempotent by the order's id, it may be made again.

// Stock promises goods to an order, and takes them out or gives them back.
type Stock interface {
	// Reserve promises every line, or none: FAILED_PRECONDITION with OUT_OF_STOCK when one can't be had, and with another reason when the
	// promise has ended.
	Reserve(ctx context.Context, orderID string, lines []sale.Line) error
	// Commit takes what is promised out of the stock. FAILED_PRECONDITION when the promise has ended.
	Commit(ctx context.Context, orderID string) error
	// Release gives back what is promised. It is right when nothing was, and a Reserve that arrives after it promises nothing.
	// FAILED_PRECONDITION with RESERVATION_COMMITTED when the goods are out of the stock.
	Release(ctx context.Context, orderID string) error
	// Restock puts committed goods of an order that was called off back into the stock, once.
	Restock(ctx context.Context, orderID string, lines []sale.Line) error
}

// Coupons counts the uses of the coupons.
type Coupons interface {
	// Redeem takes one use of the quote's coupon for the order: FAILED_PRECONDITION when there is none left, or the quote has expired.
	Redeem(ctx context.Context, orderID, quoteID string) error
	// CommitUse makes it final, until the order is called off.
	CommitUse(ctx context.Context, orderID string) error
	// ReleaseUse gives it back, also when it is final. It is right when none was taken, and a Redeem or CommitUse that arrives after it takes
	// nothing.
	ReleaseUse(ctx context.Context, orderID string) error
}

// PaymentState is where the payment of an order stands.
type PaymentState int

// The states of a payment.
const (
	// PaymentPending: the provider knows nothing of it, as far as it says.
	PaymentPending PaymentState = iota
	PaymentHeld
	PaymentCaptured
	PaymentVoided
	PaymentDeclined
)

// Payment is what a saga must know of a payment.
type Payment struct {
	ID       string
	State    PaymentState
	Captured sale.Money
}

// Payments holds the money of an order, and takes it, lets it go or gives it back. There is one payment per order.
type Payments interface {
	// Authorize asks for the money to be held: FAILED_PRECONDITION with PAYMENT_DECLINED when it is refused. Asked again it
	// answers as the payment stands.
	Authorize(ctx context.Context, orderID string, amount sale.Money, token sale.Token) (Payment, error)
	// Resolve asks the provider how the payment stands. NOT_FOUND when there is none; an error when the provider doesn't answer.
	Resolve(ctx context.Context, orderID string) (Payment, error)
	// Capture takes the money that is held.
	Capture(ctx context.Context, paymentID string) error
	// Void lets the money go. It is right when none is held, and no Authorize on its way holds any after it.
	Void(ctx context.Context, paymentID string) error
	// Refund gives money back that was captured, once per refund. FAILED_PRECONDITION when the provider refuses.
	Refund(ctx context.Context, paymentID string, r sale.Refund) error
}

// Faults has the failpoints of a test.
type Faults interface {
	Hit(ctx context.Context, name string) error
}
