package provider

import "time"

// Window names charges by the time at which they were made, and a page of them.
type Window struct {
	// From and To bound the time, by the provider's clock and at its precision, a second or finer: From is in the window, To is not.
	From, To time.Time
	// After is Next of the page before, empty for the first.
	After string
	// Limit is how many there are on the page at most, 1 to 100.
	Limit int
}

// Charges is a page of charges.
type Charges struct {
	List []Charge
	// Next is the page after this one, empty when there is none. A page may be shorter than its limit and not be the last.
	Next string
}

// Charge is money that was once held, whatever became of it.
type Charge struct {
	// Ref is the provider's own name for it; never empty.
	Ref string
	// Key is the idempotency key of its Authorize, Order that of the Request. Empty when it wasn't made by this module.
	Key, Order string
	Amount     Money
	// Made is when, by the provider's clock.
	Made time.Time
}
