package pay

import (
	"context"
	"time"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// Store keeps the payments. With every change it writes, in the same transaction, what the ledger has to say of it, when the
// payment is due again, and an event.
type Store interface {
	// Payment returns a payment by its id; false when there is none.
	Payment(ctx context.Context, id string) (Payment, bool, error)
	// ByOrder returns the payment of an order; false when there is none.
	ByOrder(ctx context.Context, orderID string) (Payment, bool, error)
	// List returns up to limit payments older than the cursor, or the newest ones when it is zero; the newest first. An orderID
	// that is not empty leaves only that order's.
	List(ctx context.Context, before Cursor, limit int, orderID string) ([]Payment, error)
	// Open writes p down, unless its order has a payment: it returns the order's payment, whichever it is. It makes no event.
	Open(ctx context.Context, p Payment) (Payment, error)
	// Apply makes a change when the payment is as the change expects. It returns the payment as it is then, and whether the change
	// was made; a payment that is not there is an error.
	Apply(ctx context.Context, c Change) (Payment, bool, error)
	// OpenRefund writes r down when its payment has that much left, and takes that much off what is left. It returns the payment
	// as it is then, and whether a refund with r's ID is among its Refunds, now or from before. A payment that is not there, or an ID
	// that another payment's refund has, is an error: ErrRefundElsewhere.
	OpenRefund(ctx context.Context, r Refund) (Payment, bool, error)
	// EndRefund ends a refund that is pending. It returns the payment as it is then.
	EndRefund(ctx context.Context, paymentID, refundID string, to RefundState, at time.Time) (Payment, error)
	Books
	Inbox
	Strays
}

// Books is what reconciliation needs.
type Books interface {
	// Due returns the ids of up to limit payments that are due at or before now, those that have waited longest first.
	Due(ctx context.Context, now time.Time, limit int) ([]string, error)
	// Postpone sets when p is due, zero for never, unless it has changed since.
	Postpone(ctx context.Context, p Payment, due time.Time) error
	// Balance returns what the ledger says of p; false when p has changed since.
	Balance(ctx context.Context, p Payment) (Balance, bool, error)
	// PutDiscrepancies replaces what is known to be different of a payment. It keeps the time of those that are known.
	PutDiscrepancies(ctx context.Context, paymentID string, found []Discrepancy) error
	// Discrepancies returns up to limit of them after the cursor, the oldest first.
	Discrepancies(ctx context.Context, after DiscrepancyCursor, limit int) ([]Discrepancy, error)
}

// Strays remembers charges at a provider that no payment knows, and how far they were sought.
type Strays interface {
	// Sought returns up to when a provider's charges were looked at; zero for never.
	Sought(ctx context.Context, provider string) (time.Time, error)
	SetSought(ctx context.Context, provider string, to time.Time) error
	// Known says which of the ids are payments'.
	Known(ctx context.Context, ids []string) (map[string]bool, error)
	// AddStray writes one down, and says whether it wasn't.
	AddStray(ctx context.Context, provider string, st Stray) (added bool, err error)
	// SetStray changes the remedy of one that isn't settled, and settles it.
	SetStray(ctx context.Context, provider string, st Stray) error
	// OpenStrays returns up to limit that aren't settled, in the order of their refs, after one.
	OpenStrays(ctx context.Context, provider, afterRef string, limit int) ([]Stray, error)
	// CountStrays returns how many aren't settled.
	CountStrays(ctx context.Context) (int64, error)
}

// Inbox remembers which of a provider's events were acted on.
type Inbox interface {
	// Seen says whether an event was acted on.
	Seen(ctx context.Context, provider, eventID string) (bool, error)
	// MarkSeen remembers it.
	MarkSeen(ctx context.Context, provider string, e provider.Event, at time.Time) error
	// ForgetSeen forgets events from before a time, up to limit.
	ForgetSeen(ctx context.Context, before time.Time, limit int) error
}

// Cursor is a place in the list, which is ordered by create time, then id. Zero is before the first.
type Cursor struct {
	CreateTime time.Time
	ID         string
}

// Provider is what the service asks of the one who holds the money.
type Provider = provider.Provider
