package stock

import (
	"context"
	"time"
)

// Store keeps the counts, the ledger, the reservations and the adjustments.
type Store interface {
	// Stock returns the count of a SKU; false when it was never counted.
	Stock(ctx context.Context, sku string) (Stock, bool, error)
	// List returns up to limit counts with a SKU after the given one, by SKU. The order is the database's own, and total.
	List(ctx context.Context, after string, limit int) ([]Stock, error)
	// Ledger returns up to limit entries of a SKU from before a moment, the newest first.
	Ledger(ctx context.Context, sku string, before time.Time, limit int) ([]Entry, error)
	// Holds returns the SKUs of a reservation's lines; none when there is no such reservation.
	Holds(ctx context.Context, id string) ([]string, error)
	// Due returns the ids of up to limit reservations that have outlived their time by a moment; when skus are given, only of those that
	// hold one of them.
	Due(ctx context.Context, at time.Time, skus []string, limit int) ([]string, error)
	// Update runs fn in one serializable transaction: all that fn did is kept, or nothing when it returns an error. fn may run
	// more than once, so it must have no effect but through tx, and must start from nothing each time.
	Update(ctx context.Context, fn func(tx Tx) error) error
}

// Tx is what can be done within a transaction.
type Tx interface {
	// Stocks returns the counts of those SKUs that were ever counted.
	Stocks(ctx context.Context, skus []string) (map[string]Stock, error)
	// Put writes OnHand and UpdateTime of each, no SKU twice, and leaves Reserved as it is.
	Put(ctx context.Context, stocks []Stock) error

	// Hold, Sell and Free set the update time to Stock.After(at).

	// Hold promises n pieces when so many are available; false when not.
	Hold(ctx context.Context, sku string, n int64, at time.Time) (Stock, bool, error)
	// Sell takes n reserved pieces out of the warehouse; false when fewer are reserved.
	Sell(ctx context.Context, sku string, n int64, at time.Time) (Stock, bool, error)
	// Free takes back the promise of n pieces; false when fewer are reserved.
	Free(ctx context.Context, sku string, n int64, at time.Time) (Stock, bool, error)

	// Reservation returns a reservation with its lines sorted by SKU; false when there is none.
	Reservation(ctx context.Context, id string) (Reservation, bool, error)
	// AddReservation writes a new reservation; false when the id is taken, and then nothing is written.
	AddReservation(ctx context.Context, r Reservation, at time.Time) (bool, error)
	// SetState moves a reservation from one state to another; false when it was not in the first.
	SetState(ctx context.Context, id string, from, to State, at time.Time) (bool, error)
	// Expire moves a reservation from Reserved to Expired, and tells others; false when it is not Reserved, or not due at that moment.
	Expire(ctx context.Context, id string, at time.Time) (bool, error)

	// Record writes entries into the ledger. None of them is there.
	Record(ctx context.Context, entries []Entry) error
	// Entry returns the entry of a kind, a reference and a SKU; false when there is none.
	Entry(ctx context.Context, kind Kind, reference, sku string) (Entry, bool, error)
	// Tell tells others that the counts are other than they were. They hear of it after the transaction has committed.
	Tell(ctx context.Context, stocks []Stock) error

	// ClaimAdjustment takes a request id. When it is taken, it returns the adjustment that took it, and false.
	ClaimAdjustment(ctx context.Context, a Adjustment, at time.Time) (Adjustment, bool, error)
	// FinishAdjustment writes down what a claimed adjustment led to.
	FinishAdjustment(ctx context.Context, a Adjustment) error
}
