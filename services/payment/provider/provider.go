// Package provider is the seam between the payment module and whoever really holds the money. Implementations live beside it
// and pass the suite of providertest. Package payment offers its names as its own.
package provider

import (
	"context"
	"errors"
	"fmt"
)

// Provider holds, takes, lets go of and gives back money. It is safe for concurrent use. All calls end soon after ctx ends.
//
// Every call that moves money carries an idempotency key. The first call with a key that had an outcome, a success or a *Decline,
// decides for all: each later or simultaneous call with that key has the same outcome, and moves nothing.
//
// The errors of every method, found with errors.As and errors.Is:
//   - *Decline: the provider refuses, and nothing moves. Authorize and Refund alone return it.
//   - ErrUnavailable: the provider surely did nothing.
//   - ErrKeyReused: the key was used for another amount. Nothing was done.
//   - ErrUnknownRef, ErrVoided, ErrCaptured: see Capture and Void. Nothing was done.
//
// Any other error, a deadline among them, leaves the outcome unknown: the money may have moved. Ask again with the same key.
type Provider interface {
	// Authorize asks to hold an amount.
	Authorize(ctx context.Context, r Request) (Authorization, error)
	// Capture takes the money held under ref, all of it. ErrVoided when it was let go, ErrUnknownRef when ref names no hold.
	Capture(ctx context.Context, ref, idempotencyKey string) error
	// Void lets go of the money held under ref. ErrCaptured when it was taken, ErrUnknownRef when ref names no hold.
	Void(ctx context.Context, ref, idempotencyKey string) error
	// Refund gives back a part of the money taken under ref, or all that is left of it. The key names the refund. A *Decline is final
	// for the key: not so much is left, nothing was taken, the card is gone. ErrUnknownRef when ref names no hold.
	Refund(ctx context.Context, ref, idempotencyKey string, amount Money) error
	// Lookup says what became of the Authorize that q names. One that the provider doesn't know is Status{State: Unknown} and no
	// error. An Authorize that is still on its way may come to be after that answer.
	Lookup(ctx context.Context, q Query) (Status, error)
	// List returns what was charged in a time, page by page and each charge at least once, whoever made it. What is only declined is left
	// out. A charge that is made while the pages are read may be missing.
	List(ctx context.Context, w Window) (Charges, error)
	// ParseWebhook checks the signature of what was posted as an event of this provider, in constant time, and reads it. It asks
	// nobody. ErrSignature when it isn't the provider's, when it was signed too long ago or in the future, or when body is longer
	// than MaxWebhook. ErrBadEvent when it is the provider's and can't be understood.
	// The names in header are canonical: "Stripe-Signature".
	ParseWebhook(header map[string]string, body []byte) (Event, error)
	// Name is one word in lower-case letters: the last part of the path that webhooks are posted to.
	Name() string
}

// Errors of a Provider.
var (
	ErrUnavailable = errors.New("the payment provider is not available")
	ErrKeyReused   = errors.New("the idempotency key was used for another amount")
	ErrUnknownRef  = errors.New("the payment provider knows no such hold")
	ErrVoided      = errors.New("the hold was let go")
	ErrCaptured    = errors.New("the money was taken")
	ErrSignature   = errors.New("the event is not signed by the payment provider")
	ErrBadEvent    = errors.New("the payment provider's event can't be understood")
)

// Request asks to hold an amount.
type Request struct {
	// IdempotencyKey names the hold: at most one is made for a key.
	IdempotencyKey string
	// Order is shown by the provider beside the money, so that people find it.
	Order  string
	Amount Money
	Token  Token
}

// Query names an Authorize: all of its Request but the token, which is not kept.
type Query struct {
	IdempotencyKey, Order string
	Amount                Money
	// Ref of the hold, when it is known: some providers are quicker then.
	Ref string
}

// Authorization is a hold.
type Authorization struct {
	// Ref is the provider's own name for it; never empty.
	Ref string
}

// Money is an amount in the smallest unit of its currency.
type Money struct {
	// Currency by ISO 4217: "EUR".
	Currency string
	Minor    int64
}

// Decline is a provider's refusal: final for its idempotency key, and nothing is held.
type Decline struct {
	// Code is the provider's reason for machines: "card_declined", "insufficient_funds".
	Code string
}

// Error implements error.
func (d *Decline) Error() string { return fmt.Sprintf("declined: %s", d.Code) }
