package sale

import (
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/page"
)

// Reasons of the errors that orders make.
const (
	// ReasonOrderNotFound: NOT_FOUND, no order has this id.
	ReasonOrderNotFound = "ORDER_NOT_FOUND"
	// ReasonWatchMoved: UNAVAILABLE, the module stops while somebody watches an order.
	ReasonWatchMoved = "WATCH_MOVED"
	// ReasonOrderStateChanged: ABORTED, someone else was quicker; or FAILED_PRECONDITION, the order is past that.
	ReasonOrderStateChanged = "ORDER_STATE_CHANGED"
	// ReasonOrderClaimed: ABORTED, someone else drives the order.
	ReasonOrderClaimed = "ORDER_CLAIMED"
	// ReasonOrderShipped: FAILED_PRECONDITION, a part of the order has left and it can't be called off any more.
	ReasonOrderShipped = "ORDER_SHIPPED"
	// ReasonOrderNotPaid: FAILED_PRECONDITION, nothing was captured.
	ReasonOrderNotPaid = "ORDER_NOT_PAID"
	// ReasonRefundTooLarge: FAILED_PRECONDITION, more than is left of what was captured.
	ReasonRefundTooLarge = "REFUND_TOO_LARGE"
	// ReasonLineUnknown: FAILED_PRECONDITION, a parcel has what the order hasn't.
	ReasonLineUnknown = "ORDER_LINE_UNKNOWN"
	// ReasonCartEmpty: FAILED_PRECONDITION, there is nothing to buy.
	ReasonCartEmpty = "CART_EMPTY"
	// ReasonCartOrdered: FAILED_PRECONDITION, the cart was bought, or is being bought by someone else.
	ReasonCartOrdered = "CART_ORDERED"
	// ReasonCartMerged: FAILED_PRECONDITION, the cart was put into another one.
	ReasonCartMerged = "CART_MERGED"
	// ReasonPriceChanged: FAILED_PRECONDITION, the total isn't the one that the customer was shown.
	ReasonPriceChanged = "PRICE_CHANGED"
	// ReasonCurrencyMismatch: FAILED_PRECONDITION, amounts of more than one currency.
	ReasonCurrencyMismatch = "CURRENCY_MISMATCH"
	// ReasonTotalTooLarge: FAILED_PRECONDITION, a line or the whole would cost more than MaxMinor.
	ReasonTotalTooLarge = "TOTAL_TOO_LARGE"
	// ReasonOutOfStock: FAILED_PRECONDITION, a line can't be had. Inventory's reason.
	ReasonOutOfStock = "OUT_OF_STOCK"
	// ReasonPaymentDeclined: FAILED_PRECONDITION, the provider refused the payment. Payment's reason.
	ReasonPaymentDeclined = "PAYMENT_DECLINED"
	// ReasonCustomerRequest: FAILED_PRECONDITION, CancelOrder called the order off.
	ReasonCustomerRequest = "CUSTOMER_REQUEST"
	// ReasonKeyReused: FAILED_PRECONDITION, something else was done with this request_id or Idempotency-Key.
	ReasonKeyReused = idempotency.ReasonReused
	// ReasonKeyInUse: ABORTED, the request with this key is still being worked on.
	ReasonKeyInUse = idempotency.ReasonInUse
	// ReasonPageTokenInvalid: INVALID_ARGUMENT, the page_token isn't one of ours, or belongs to another filter.
	ReasonPageTokenInvalid = page.ReasonTokenInvalid
	// ReasonCheckoutInterrupted: UNAVAILABLE, something failed on the way; everything was taken back.
	ReasonCheckoutInterrupted = "CHECKOUT_INTERRUPTED"
	// ReasonCheckoutUnfinished: UNAVAILABLE, something failed on the way, and the worker goes on with it.
	ReasonCheckoutUnfinished = "CHECKOUT_UNFINISHED"
)
