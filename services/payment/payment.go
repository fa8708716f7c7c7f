// Package payment moves money through a payment provider, and remembers what it asked for.
//
// Its law: an order is paid once. There is one payment per order, one hold per payment, and what is held is taken once or let go,
// never both. The network to the provider loses answers, callers send again, processes die; the law holds because
//
//   - the payment is written down, as PENDING, before the provider is asked, and its id is the provider's idempotency key;
//   - no transaction is open while the provider is asked: its answer is written by a conditional update, and where two answers meet,
//     the provider, which knows where the money is, is right;
//   - a lost answer leaves the payment as it was. The caller is told PAYMENT_OUTCOME_UNKNOWN, sends the same again, or Resolve, and
//     the provider, seeing the same key, answers as the first time. When nobody asks, the reconciler does;
//   - a refund is written down, and taken off what is left of the capture, before the provider is asked, and its id is the key.
//
// A payment's life:
//
//	         yes                Capture
//	PENDING -----> AUTHORIZED ----------> CAPTURED
//	 |    \ no             | Void
//	 |     +--> DECLINED   |
//	 +-------Void----------+-----------> VOIDED
//
// A captured payment stays CAPTURED; its refunds, each PENDING, then SUCCEEDED or FAILED, say what went back.
//
// Each change of a payment is one transaction: the row, the double-entry ledger's rows (accounts and postings: internal/pay/ledger.go),
// and the event PaymentUpdated. Under the lease "payment.reconcile" one instance goes through the payments whose answers are late, asks
// the provider until they are settled, and compares the ledger with what the provider says (ListDiscrepancies). A provider's webhook is
// an occasion to ask it, never believed.
//
// The other way round, it looks through the provider's charges for those that no payment knows, and gives back what is surely stray (a hold,
// and money taken beside another payment of the order); the rest is reported, by the gauge payment_stray_charges, the log and `cleave verify`:
// internal/pay/strays.go says why there can be any, and what would be dangerous. One account at the provider is for one shop.
//
// The token that stands for the buyer's card goes through to the provider; it is never stored and never logged.
package payment

import "github.com/cleavehq/cleave/services/payment/internal/pay"

// The words of the module. They are defined in internal/pay, which the store and the handler can import, and this package,
// which wires them, can import as well.
type (
	// Payment is the one payment of an order.
	Payment = pay.Payment
	// State is where a payment stands.
	State = pay.State
	// Service is the business of the module.
	Service = pay.Service
)

// The states of a payment. The last two are final, and of Captured only refunds follow.
const (
	Pending    = pay.Pending
	Authorized = pay.Authorized
	Captured   = pay.Captured
	Voided     = pay.Voided
	Declined   = pay.Declined
)

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonNotFound         = pay.ReasonNotFound
	ReasonDeclined         = pay.ReasonDeclined
	ReasonVoided           = pay.ReasonVoided
	ReasonCaptured         = pay.ReasonCaptured
	ReasonNotAuthorized    = pay.ReasonNotAuthorized
	ReasonDiffers          = pay.ReasonDiffers
	ReasonOutcomeUnknown   = pay.ReasonOutcomeUnknown
	ReasonUnavailable      = pay.ReasonUnavailable
	ReasonRefundExceeds    = pay.ReasonRefundExceeds
	ReasonRefundRefused    = pay.ReasonRefundRefused
	ReasonRefundDiffers    = pay.ReasonRefundDiffers
	ReasonSignature        = pay.ReasonSignature
	ReasonBadEvent         = pay.ReasonBadEvent
	ReasonNoProvider       = pay.ReasonNoProvider
	ReasonPageTokenInvalid = pay.ReasonPageToken
	ReasonOutOfRange       = pay.ReasonOutOfRange
)
