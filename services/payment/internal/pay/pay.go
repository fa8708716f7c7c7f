// Package pay is the business of the payment module: its words, its rules and its service. It knows no transport, no proto and
// no SQL, and of the payment provider only the interface.
package pay

import (
	"time"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// MaxMinor is the largest amount, in minor units.
const MaxMinor = 1_000_000_000_000_000

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonNotFound       = "PAYMENT_NOT_FOUND"            // NotFound
	ReasonDeclined       = "PAYMENT_DECLINED"             // FailedPrecondition: the provider refused; final for this order
	ReasonVoided         = "PAYMENT_VOIDED"               // FailedPrecondition: the money was let go, or is about to be
	ReasonCaptured       = "PAYMENT_CAPTURED"             // FailedPrecondition: the money was taken
	ReasonNotAuthorized  = "PAYMENT_NOT_AUTHORIZED"       // FailedPrecondition: the provider has not said yes yet
	ReasonDiffers        = "PAYMENT_DIFFERS"              // AlreadyExists: the order has a payment of another amount
	ReasonOutcomeUnknown = "PAYMENT_OUTCOME_UNKNOWN"      // Unavailable or DeadlineExceeded: money may have moved; ask again
	ReasonUnavailable    = "PAYMENT_PROVIDER_UNAVAILABLE" // Unavailable: surely nothing moved; ask again
	ReasonRefundExceeds  = "REFUND_EXCEEDS_CAPTURED"      // FailedPrecondition: all refunds together would be more than was taken
	ReasonRefundRefused  = "REFUND_REFUSED"               // FailedPrecondition: the provider refused; final for this refund
	ReasonRefundDiffers  = "REFUND_DIFFERS"               // AlreadyExists: the refund's id was used for another payment or amount
	ReasonSignature      = "WEBHOOK_SIGNATURE"            // PermissionDenied: not from the provider, or too old
	ReasonBadEvent       = "WEBHOOK_NOT_UNDERSTOOD"       // InvalidArgument
	ReasonNoProvider     = "WEBHOOK_UNKNOWN_PROVIDER"     // NotFound
	ReasonPageToken      = page.ReasonTokenInvalid        // InvalidArgument
	ReasonOutOfRange     = "OUT_OF_RANGE"                 // InvalidArgument
)

// State is where a payment stands.
type State string

// The states. Captured, Voided and Declined are final.
const (
	// Pending: written down, and the provider may have been asked; its answer is not known.
	Pending    State = "pending"
	Authorized State = "authorized"
	Captured   State = "captured"
	Voided     State = "voided"
	Declined   State = "declined"
)

// Payment is the one payment of an order.
type Payment struct {
	// ID is a UUIDv7, and the idempotency key of the hold.
	ID      string
	OrderID string
	State   State
	Amount  provider.Money
	// ProviderRef is the provider's name for the hold; empty when there never was one.
	ProviderRef string
	// DeclineCode says why it was declined.
	DeclineCode string
	// Voiding: it was Pending when it was to be voided. It will be Voided, and never Authorized.
	Voiding bool
	// Authorized is what the provider agreed to hold, Captured what was taken, Refunded what was given back of it, Refunding what
	// refunds under way may still take away: minor units, Captured <= Authorized <= Amount, Refunded + Refunding <= Captured.
	Authorized, Captured, Refunded, Refunding int64
	// Asked is what the provider was asked for and has not answered yet.
	Asked Asked
	// Refunds, the oldest first.
	Refunds []Refund
	// CreateTime and UpdateTime are in microseconds.
	CreateTime, UpdateTime time.Time
}

// Asked is a request to the provider that is under way, or whose answer was lost.
type Asked string

// What a provider is asked for.
const (
	Nothing    Asked = ""
	AskCapture Asked = "capture"
	AskVoid    Asked = "void"
)

// settled says whether nothing is under way.
func (p Payment) settled() bool {
	return p.State != Pending && p.Asked == Nothing && p.Refunding == 0
}

// query names the payment at the provider.
func (p Payment) query() provider.Query {
	return provider.Query{IdempotencyKey: p.ID, Order: p.OrderID, Amount: p.Amount, Ref: p.ProviderRef}
}

// captureKey and voidKey are the idempotency keys of what follows a hold.
func captureKey(id string) string { return id + ":capture" }
func voidKey(id string) string    { return id + ":void" }

func checkAmount(m provider.Money) error {
	if m.Minor < 0 || m.Minor > MaxMinor {
		return problem.InvalidArgument(ReasonOutOfRange, "an amount is 0 to %d minor units, not %d", int64(MaxMinor), m.Minor)
	}
	if len(m.Currency) != 3 {
		return problem.InvalidArgument(ReasonOutOfRange, "a currency is three capitals, as in ISO 4217")
	}
	for _, c := range []byte(m.Currency) {
		if c < 'A' || c > 'Z' {
			return problem.InvalidArgument(ReasonOutOfRange, "a currency is three capitals, as in ISO 4217")
		}
	}
	return nil
}

func notFound(id string) error { return problem.NotFound(ReasonNotFound, "no payment %s", id) }

func declined(p Payment) error {
	return problem.FailedPrecondition(ReasonDeclined, "the payment of order %s was declined: %s", p.OrderID, p.DeclineCode)
}

func voided(p Payment) error {
	return problem.FailedPrecondition(ReasonVoided, "payment %s is voided", p.ID)
}
