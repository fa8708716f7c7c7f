package shipping

import (
	"context"
	"time"
)

// Store keeps the fulfilments.
type Store interface {
	// Get returns a fulfilment with all that belongs to it; false when there is none.
	Get(ctx context.Context, orderID string) (Fulfilment, bool, error)
	// Page returns up to limit fulfilments after the cursor, the oldest first.
	Page(ctx context.Context, after Cursor, limit int) ([]Fulfilment, error)
	// Update runs fn in one serializable transaction: all that fn did is kept, or nothing when it returns an error. fn may run
	// more than once, so it must have no effect but through tx, and must start from nothing each time.
	Update(ctx context.Context, fn func(tx Tx) error) error
}

// Filter is which fulfilments a list has.
type Filter struct {
	// State leaves only those in it; empty for every one.
	State State
	// LeftBeforeCancel leaves only those.
	LeftBeforeCancel bool
}

// Cursor is a place in the list, which is ordered by create time, then order. One without an order is before the first.
type Cursor struct {
	Filter
	Created time.Time
	OrderID string
}

// Count is one of the counts of a line.
type Count int

// The counts that change.
const (
	CountPacked Count = iota + 1
	CountShipped
	CountDelivered
	CountReturning
	CountReturned
)

// Tx is what can be done within a transaction.
type Tx interface {
	// Lock returns a fulfilment without its shipments and returns, and keeps every other transaction from it until this one ends;
	// false when there is none. What else is done to an order is done after it.
	Lock(ctx context.Context, orderID string, at time.Time) (Fulfilment, bool, error)
	// Add writes a new fulfilment with its lines; when there is one already, nothing is written.
	Add(ctx context.Context, f Fulfilment) error
	// Move writes state and LeftBeforeCancel.
	Move(ctx context.Context, orderID string, state State, leftBeforeCancel bool) error
	// Bury remembers that an order is cancelled that was never paid, and Buried tells.
	Bury(ctx context.Context, orderID string, at time.Time) error
	Buried(ctx context.Context, orderID string) (bool, error)
	// Change adds n, which may be negative, to a count of a line. False, and nothing is changed, when the order has no such line or
	// the count would pass one of its neighbours in the law.
	Change(ctx context.Context, orderID string, c Count, sku string, n int64) (bool, error)

	// Shipment, Return, ShipmentOf and ReturnOf return one by its id or by its request id; false when there is none.
	Shipment(ctx context.Context, id string) (Shipment, bool, error)
	ShipmentOf(ctx context.Context, requestID string) (Shipment, bool, error)
	Return(ctx context.Context, id string) (Return, bool, error)
	ReturnOf(ctx context.Context, requestID string) (Return, bool, error)
	// Packed returns the shipments of an order that are packed.
	Packed(ctx context.Context, orderID string) ([]Shipment, error)
	AddShipment(ctx context.Context, s Shipment) error
	AddReturn(ctx context.Context, r Return) error
	// MoveShipment and MoveReturn write what can change of one that is in state from; it is an error when it isn't.
	MoveShipment(ctx context.Context, s Shipment, from ShipmentState) error
	MoveReturn(ctx context.Context, r Return, from ReturnState) error

	// Emit has an event sent once the transaction has committed, and not before.
	Emit(ctx context.Context, e Event) error
}

// Kind is what an event tells.
type Kind int

// The kinds of events.
const (
	HasShipped Kind = iota + 1
	HasArrived
	HasReturned
)

// Event is what other modules are told.
type Event struct {
	Kind    Kind
	OrderID string
	// Shipment of HasShipped and HasArrived, Return of HasReturned.
	Shipment Shipment
	Return   Return
	// Complete: by now it is so for every piece of the order.
	Complete bool
	At       time.Time
}
