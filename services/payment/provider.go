package payment

import "github.com/cleavehq/cleave/services/payment/provider"

// The seam to a payment provider. It is defined in package provider, which providers can import, and this package, which wires
// one of them, can import as well.
type (
	// Provider holds, takes and lets go of money.
	Provider = provider.Provider
	// ProviderRequest asks to hold an amount.
	ProviderRequest = provider.Request
	// Authorization is a hold.
	Authorization = provider.Authorization
	// Decline is a provider's refusal.
	Decline = provider.Decline
	// ProviderQuery names an Authorize.
	ProviderQuery = provider.Query
	// ProviderStatus is what a provider knows of an Authorize.
	ProviderStatus = provider.Status
	// ProviderEvent is what a provider tells on its own.
	ProviderEvent = provider.Event
	// Token stands for a card at the provider.
	Token = provider.Token
	// Money is an amount in the smallest unit of its currency.
	Money = provider.Money
)
