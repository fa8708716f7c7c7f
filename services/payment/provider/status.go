package provider

import "fmt"

// State is where a hold stands at the provider.
type State int

// The states of a hold. Unknown means that the provider has no record of it.
const (
	Unknown State = iota
	Held
	Captured
	Voided
	Declined
)

// String returns the name in lower case.
func (s State) String() string {
	names := [...]string{"unknown", "held", "captured", "voided", "declined"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return names[s]
}

// Status is what a provider knows of an Authorize.
type Status struct {
	State State
	// Amount of the hold; zero when Unknown or Declined.
	Amount Money
	// Captured is what was taken, Refunded what was given back of it, in the currency of Amount.
	Captured, Refunded int64
	// Refunds that moved money, or will, by their idempotency keys. One that was made without the module has its provider's name
	// for it as its key.
	Refunds map[string]int64
	// Ref of the hold; empty when Unknown or Declined.
	Ref string
	// DeclineCode when Declined.
	DeclineCode string
}
