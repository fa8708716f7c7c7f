package basket

import (
	"context"
	"time"
)

// Prices is what a cart must know of pricing.
type Prices interface {
	// LookUp says what each SKU costs today, in their order, one for each. An empty currency is the one that the catalogue has.
	LookUp(ctx context.Context, skus []string, currency string) ([]Variant, error)
	// Check prices a cart with its coupon, and returns why that can't be done.
	Check(ctx context.Context, c Cart) error
}

// Store keeps carts.
type Store interface {
	// Create writes a new cart; CUSTOMER_HAS_CART when its customer has an open one.
	Create(ctx context.Context, c Cart) error
	// Get returns a cart as it is at one moment, or CART_NOT_FOUND.
	Get(ctx context.Context, id string) (Cart, error)
	// OpenOf returns the open cart of a customer; false when there is none.
	OpenOf(ctx context.Context, customer string) (Cart, bool, error)
	// Change lets fn change a cart, and writes the result, as if no one else were there. When fn returns an error nothing is written and
	// the error comes back. fn may be called more than once, each time with the cart as it is then, so it must do nothing else.
	Change(ctx context.Context, id string, fn func(*Cart) error) (Cart, error)
	// Update runs fn in one serializable transaction: all that fn did is kept, or nothing when it returns an error. fn may run more than
	// once, so it must have no effect but through tx, and must start from nothing each time.
	Update(ctx context.Context, fn func(tx Tx) error) error
	// Erase takes a customer's name off all carts, and everything out of them.
	Erase(ctx context.Context, customer string, at time.Time) error
}

// Tx is what can be done with several carts at once.
type Tx interface {
	// Get returns a cart, or CART_NOT_FOUND.
	Get(ctx context.Context, id string) (Cart, error)
	// OpenOf returns the open cart of a customer; false when there is none.
	OpenOf(ctx context.Context, customer string) (Cart, bool, error)
	// Put writes a cart that Get or OpenOf has returned, with what was changed of it.
	Put(ctx context.Context, c Cart) error
}
