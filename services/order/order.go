// Package order is the module that turns a cart into an order, and follows it to its end.
//
// An order is a row, and the row is the state of a saga: a chain of steps, each of which another module does. A checkout has one point of no
// return. Before it everything can be taken back; after it the shop owes the goods:
//
//	PENDING     the order is written down at the prices of a quote, and its cart is taken: nobody else can buy it
//	RESERVED    pricing has set a use of the coupon aside, inventory has promised every line
//	AUTHORIZED  payment holds the money
//	CONFIRMED   the point of no return; event OrderConfirmed
//	PAID        inventory has taken the goods out of the stock, the coupon is used, payment has captured the money; event OrderPaid
//
//	PARTIALLY_SHIPPED, SHIPPED, DELIVERED   as fulfilment tells; events OrderShipped, OrderDelivered
//	RETURNED                                 all of it came back; event OrderReturned, also for a part of it
//	PARTIALLY_REFUNDED, REFUNDED             money went back; event OrderRefunded
//	CANCELLED   nothing is owed, charged or held, and the cart is free again; event OrderCancelled
//
// Every change of the row is one transaction with the entry of the audit trail and the event in the outbox: what was done is known, and
// told, exactly when it was done. A broker that is away keeps no order waiting.
//
// The request that places an order drives it. A process may die between any two steps: its claim on the order ends after some seconds, and the
// worker, which one instance runs under the lease "order.saga", finds the row, asks what is not known, and goes on, or takes back:
//
//	                        did it happen?                            what takes it back
//	reserve coupon, stock   asked again, with the order's id           release, with the order's id
//	authorize               Resolve: the provider knows                void
//	confirm                 the row knows                              nothing: from here on the shop pays for taking back
//	commit stock            asked again                                restock, once per order
//	commit coupon           asked again                                release, with the order's id: a use that is final is given back too
//	capture                 asked again                                refund, under an id derived from the order
//
// An order whose money isn't held when its process died can't be paid any more, because the payment token goes to the payment module and nowhere
// else: it is never stored or logged. It is given up, with CHECKOUT_INTERRUPTED. A client that sends the same request again while the
// order stands lends its token to it.
//
// A refusal, and a cancellation, is first written down as the decision to give the order up, which forbids every further step; then what is
// held is let go, again and again until it is; then the order is CANCELLED. A cancellation that races a capture ends as that decision wins or loses
// in the row: either the order is PAID, or the captured money is found and sent back before it is CANCELLED.
//
// The parts: internal/sale is an order as such, and pure; internal/saga drives orders; internal/checkout is what clients ask for, and knows no
// transport, no SQL and no other module; internal/store keeps orders in SQL; internal/peers calls cart, pricing, inventory and payment over
// their contracts; internal/heard listens to fulfilment and customer; internal/rpc speaks this module's contract and makes its events. [Module]
// wires them, and nothing else does.
package order

import (
	"github.com/cleavehq/cleave/services/order/internal/rpc"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Name of the module in the registry.
const Name = "order"

// Reasons of the errors that this module makes, as a client reads them in a problem document. Others come from the modules that
// it calls and pass through it as they are: CART_NOT_FOUND, COUPON_EXHAUSTED.
const (
	ReasonOrderNotFound       = sale.ReasonOrderNotFound
	ReasonWatchMoved          = sale.ReasonWatchMoved
	ReasonOrderStateChanged   = sale.ReasonOrderStateChanged
	ReasonOrderShipped        = sale.ReasonOrderShipped
	ReasonOrderNotPaid        = sale.ReasonOrderNotPaid
	ReasonRefundTooLarge      = sale.ReasonRefundTooLarge
	ReasonLineUnknown         = sale.ReasonLineUnknown
	ReasonCartEmpty           = sale.ReasonCartEmpty
	ReasonCartOrdered         = sale.ReasonCartOrdered
	ReasonCartMerged          = sale.ReasonCartMerged
	ReasonPriceChanged        = sale.ReasonPriceChanged
	ReasonCurrencyMismatch    = sale.ReasonCurrencyMismatch
	ReasonTotalTooLarge       = sale.ReasonTotalTooLarge
	ReasonOutOfStock          = sale.ReasonOutOfStock
	ReasonPaymentDeclined     = sale.ReasonPaymentDeclined
	ReasonCustomerRequest     = sale.ReasonCustomerRequest
	ReasonKeyReused           = sale.ReasonKeyReused
	ReasonKeyInUse            = sale.ReasonKeyInUse
	ReasonPageTokenInvalid    = sale.ReasonPageTokenInvalid
	ReasonCheckoutInterrupted = sale.ReasonCheckoutInterrupted
	ReasonCheckoutUnfinished  = sale.ReasonCheckoutUnfinished
	ReasonNotOwner            = rpc.ReasonNotOwner
	ReasonScope               = rpc.ReasonScope
)

// Failpoints returns the names of the module's failpoints, for chassis/fault: before and after each call of another module, and before and
// after each commit.
func Failpoints() []string { return saga.Failpoints() }
