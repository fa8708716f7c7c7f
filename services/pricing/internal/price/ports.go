package price

import (
	"context"
	"time"
)

// Variant is what the catalogue says about one SKU.
type Variant struct {
	Title string
	Price Money
	// ForSale is false while its product is a draft, or archived.
	ForSale bool
}

// Catalog is what pricing must know of the catalogue.
type Catalog interface {
	// Variant returns one variant by SKU; false when the catalogue knows none.
	Variant(ctx context.Context, sku string) (Variant, bool, error)
}

// Shelf keeps things of one kind by their key, for the shop's staff. Its errors are problems where a caller can do something about them.
type Shelf[T any] interface {
	// Insert adds a thing; an AlreadyExists when its key, or what else is unique of it, is taken.
	Insert(ctx context.Context, thing T) error
	// Get returns a thing, or a NotFound.
	Get(ctx context.Context, key string) (T, error)
	// List returns up to limit things with a key after the given one, by key. filter narrows the list when it is not empty.
	List(ctx context.Context, filter, after string, limit int) ([]T, error)
	// Change lets fn change a thing, and writes it when it is another than before, as if no one else were there. fn may run more than
	// once, so it must do nothing else.
	Change(ctx context.Context, key string, fn func(*T) error) (T, error)
	// Delete takes a thing away when fn, which sees it, returns nil.
	Delete(ctx context.Context, key string, fn func(T) error) error
}

// Store keeps quotes and redemptions, and finds what a quote is made of.
type Store interface {
	// Listed returns the amounts on the price list at that moment, by SKU and currency.
	Listed(ctx context.Context, skus []string, at time.Time) (map[string]map[string]int64, error)
	// TaxOf returns the tax of a country; false when it has none.
	TaxOf(ctx context.Context, country string) (TaxRate, bool, error)
	// CouponOf returns a coupon; false when there is none.
	CouponOf(ctx context.Context, code string) (Coupon, bool, error)

	// Quote returns a quote with its lines, or QUOTE_NOT_FOUND.
	Quote(ctx context.Context, id string) (Quote, error)
	// QuoteAsked returns the quote that was made under a request id; false when there is none.
	QuoteAsked(ctx context.Context, requestID string) (Quote, bool, error)
	// CouponOfQuote returns the code of a quote's coupon, and CouponOfRedemption that of a redemption, which never change; "" when there is
	// none.
	CouponOfQuote(ctx context.Context, id string) (string, error)
	CouponOfRedemption(ctx context.Context, id string) (string, error)
	// AddQuote writes a quote; false when its request id is taken, and then nothing is written.
	AddQuote(ctx context.Context, q Quote) (bool, error)
	// Update runs fn in one serializable transaction: all that fn did is kept, or nothing when it returns an error. fn may run more
	// than once, so it must have no effect but through tx, and must start from nothing each time.
	Update(ctx context.Context, fn func(tx Tx) error) error
}

// Tx is what can be done within a transaction.
type Tx interface {
	// Quote returns a quote without its lines, or QUOTE_NOT_FOUND.
	Quote(ctx context.Context, id string) (Quote, error)

	// Redemption returns a redemption; false when there is none.
	Redemption(ctx context.Context, id string) (Redemption, bool, error)
	// AddRedemption writes a new redemption. Its id is free.
	AddRedemption(ctx context.Context, r Redemption, at time.Time) error
	// SetState moves a redemption from one state to another.
	SetState(ctx context.Context, id string, from, to State, at time.Time) error

	// TakeUse reserves one use of a coupon when its limit allows; false when not, or when there is no such coupon.
	TakeUse(ctx context.Context, code string) (bool, error)
	// KeepUse makes a reserved use a used one; false when none is reserved.
	KeepUse(ctx context.Context, code string) (bool, error)
	// FreeUse gives a reserved use back; false when none is reserved.
	FreeUse(ctx context.Context, code string) (bool, error)
	// GiveBackUse gives a used use back; false when none is used.
	GiveBackUse(ctx context.Context, code string) (bool, error)
	// CouponThere says whether there is such a coupon.
	CouponThere(ctx context.Context, code string) (bool, error)
}
