package checkout

import (
	"context"
	"time"

	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Store keeps orders. Its errors are coded, or the database's.
type Store interface {
	saga.Store
	// Create writes a new order and takes its cart. When the order's request id is known already it returns that order and false.
	// CART_ORDERED when an order that isn't cancelled has the cart.
	Create(ctx context.Context, o *sale.Order) (sale.Order, bool, error)
	// ByRequest returns the order of a request id, or ORDER_NOT_FOUND.
	ByRequest(ctx context.Context, requestID string) (sale.Order, error)
	// Page returns at most limit orders that come after the cursor, the newest first.
	Page(ctx context.Context, after Cursor, limit int) ([]sale.Order, error)
	// History returns the entries of an order, the oldest first; none when there is no such order.
	History(ctx context.Context, id string) ([]sale.Entry, error)
}

// Cart is what a checkout must know of a cart.
type Cart struct {
	ID, CustomerID string
	Ordered        bool
	// Lines have no discount, tax or total: those are the quote's.
	Lines  []sale.Line
	Coupon string
}

// Carts reads carts.
type Carts interface {
	// Cart returns a cart, or a coded error: NOT_FOUND when there is none.
	Cart(ctx context.Context, id string) (Cart, error)
}

// Wanted is what is to be quoted. ID is the quote's key: asked again with it the same quote comes.
type Wanted struct {
	ID, Currency, Country, Coupon string
	Lines                         []sale.Line
}

// Quote is what it costs.
type Quote struct {
	ID, Coupon                     string
	Lines                          []sale.Line
	Subtotal, Discount, Tax, Total sale.Money
}

// Prices says what a cart costs.
type Prices interface {
	// Quote prices lines, and keeps its word for a while. FAILED_PRECONDITION when one isn't for sale, or the coupon doesn't apply.
	Quote(ctx context.Context, w Wanted) (Quote, error)
}

// Driver takes orders through their steps.
type Driver interface {
	// Drive is saga.Driver's.
	Drive(ctx context.Context, o *sale.Order, token sale.Token) error
	// ClaimFor is how long the claim of a new order lasts.
	ClaimFor() time.Duration
}

var _ Driver = (*saga.Driver)(nil)
