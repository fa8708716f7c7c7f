// Package price is the business of the pricing module: its words, its arithmetic and its service. It knows no transport, no proto and no
// SQL.
package price

import (
	"strings"
	"time"
)

// The limits of the module. They are those of the contract, checked again here so that no sum hangs on a transport.
const (
	// MaxMinor is the highest amount, in minor units: the limit of shop.type.v1.Money.
	MaxMinor = 1_000_000_000_000_000
	// MaxQuantity is how many pieces one line may ask for.
	MaxQuantity = 10_000
	// MaxLines is how many lines a quote may have.
	MaxLines = 200
	// Whole is all of something in basis points, hundredths of a percent.
	Whole = 10_000
	// QuoteTime is how long a quote stands.
	QuoteTime = 15 * time.Minute
	// KeepQuotes is how long an expired quote can still be read.
	KeepQuotes = 30 * 24 * time.Hour
)

// Money is an amount in minor units of its currency, 0 to MaxMinor. The zero value is "not given".
type Money struct {
	// Currency is an ISO 4217 code.
	Currency string
	Minor    int64
}

// Window is a time with a beginning and an end. A zero From is since ever, a zero Until for ever.
type Window struct{ From, Until time.Time }

// Holds says whether at is in the window: From is, Until is not.
func (w Window) Holds(at time.Time) bool {
	return !at.Before(w.From) && (w.Until.IsZero() || at.Before(w.Until))
}

// Entry is an entry of the price list: what one piece of a SKU costs, for a time.
type Entry struct {
	// ID is a UUIDv7.
	ID, SKU string
	Amount  Money
	Valid   Window
	Stamp
}

// TaxRate is the tax of one country.
type TaxRate struct {
	// Country is an ISO 3166-1 alpha-2 code.
	Country string
	// BasisPoints is 0 to Whole.
	BasisPoints int64
	// Inclusive says that the prices have the tax in them.
	Inclusive bool
	Stamp
}

// Coupon takes something off. Its law: Used + Reserved <= Limit, unless that is 0.
type Coupon struct {
	// Code is in capitals.
	Code string
	Off  Off
	// Minimum is the least subtotal that it is given for, in the one currency that it is given for; zero for any.
	Minimum Money
	Valid   Window
	// Limit is how many orders may use it; 0 for any number.
	Limit, Used, Reserved int64
	Stamp
}

// Off is what a coupon takes off: BasisPoints of each line, or Amount of the subtotal. The zero value takes nothing.
type Off struct {
	BasisPoints int64
	Amount      Money
}

// Stamp is when a thing was made and changed, and how often.
type Stamp struct {
	Created, Updated time.Time
	// Revision is 1 for a new thing, and grows with every change.
	Revision int64
}

// Quote is what lines cost, until it expires.
type Quote struct {
	// ID is a UUIDv7.
	ID                string
	Currency, Country string
	// Coupon is its code in capitals, or empty.
	Coupon           string
	Tax              TaxRate
	Lines            []Line
	Total            Sums
	Created, Expires time.Time
	// RequestID is the caller's, or empty. Asked is what was asked under it, in one spelling.
	RequestID, Asked string
}

// Line is so many pieces of one SKU, and what they cost.
type Line struct {
	SKU, Title string
	Quantity   int64
	// Unit is the price of one piece.
	Unit int64
	Sums
}

// Sums are amounts in the quote's currency: Total = Subtotal - Discount, and + Tax unless the tax is in the prices.
type Sums struct{ Subtotal, Discount, Tax, Total int64 }

// Wanted is so many pieces of one SKU.
type Wanted struct {
	SKU      string
	Quantity int64
}

// Ask is what a quote is asked for.
type Ask struct {
	Lines     []Wanted
	Currency  string
	Country   string
	Coupon    string
	RequestID string
}

// State is where a redemption stands.
type State string

// The states. Committed and Released are final.
const (
	Reserved  State = "reserved"
	Committed State = "committed"
	Released  State = "released"
)

// Redemption is one use of a coupon by an order.
type Redemption struct {
	// ID is chosen by the caller: the order's id.
	ID    string
	State State
	// QuoteID is empty when it was released before it was redeemed; Coupon also when the quote has none.
	QuoteID, Coupon string
}

// Code brings a coupon's code into its one form.
func Code(typed string) string { return strings.ToUpper(typed) }
