// Package pricing is the module of what things cost.
//
// A quote is made of three things, each of which may be missing:
//
//   - The price list: a price per SKU and currency, for a time. Of several that hold, the one that began last goes first. A SKU that is
//     not on it costs what the catalogue says.
//   - The tax of the country that the goods go to, on top of the prices or in them. No rate, no tax.
//   - A coupon: a percentage of each line or an amount of the subtotal, for a time, from a subtotal on, and for so many orders.
//
// It is kept with its lines, and is the shop's word for fifteen minutes: within them a price that changes or a coupon that is edited
// changes nothing for it. All sums are integers of minor units; internal/price/sum.go says how they are rounded.
//
// That a coupon is used so often and no oftener is a law like the one of the stock, and kept in the same way. Redeeming takes a use in
// the very statement that checks the limit; the order then commits it or gives it back:
//
//	            Redeem                Commit
//	(nothing) ----------> RESERVED ----------> COMMITTED
//	    |                    | Release             |
//	    +-----Release------> RELEASED <---Release--+
//
// A committed use is given back when its order is called off before shipment; nothing leaves RELEASED.
// The caller names it with the id of its order, so every step may be sent again, and answers as before.
//
// The parts: internal/price is the business and knows no transport, no SQL and no catalogue; internal/store keeps everything in SQL;
// internal/catalog asks the catalogue; internal/rpc speaks the contract. [Module] wires them, and nothing else does.
package pricing

import "github.com/cleavehq/cleave/services/pricing/internal/price"

// Name of the module in the registry.
const Name = "pricing"

// Limits of the module.
const (
	// MaxMinor is the highest amount of a line and of a quote, in minor units: the limit of shop.type.v1.Money.
	MaxMinor = price.MaxMinor
	// QuoteTime is how long a quote stands.
	QuoteTime = price.QuoteTime
	// KeepQuotes is how long an expired quote can still be read.
	KeepQuotes = price.KeepQuotes
)

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonVariantNotFound     = price.ReasonVariantNotFound
	ReasonProductNotForSale   = price.ReasonProductNotForSale
	ReasonCurrencyMismatch    = price.ReasonCurrencyMismatch
	ReasonTotalTooLarge       = price.ReasonTotalTooLarge
	ReasonDuplicateSKU        = price.ReasonDuplicateSKU
	ReasonOutOfRange          = price.ReasonOutOfRange
	ReasonRequestIDReused     = price.ReasonRequestIDReused
	ReasonQuoteNotFound       = price.ReasonQuoteNotFound
	ReasonQuoteExpired        = price.ReasonQuoteExpired
	ReasonCouponNotApplicable = price.ReasonCouponNotApplicable
	ReasonCouponExhausted     = price.ReasonCouponExhausted
	ReasonRedemptionNotFound  = price.ReasonRedemptionNotFound
	ReasonRedemptionDiffers   = price.ReasonRedemptionDiffers
	ReasonRedemptionReleased  = price.ReasonRedemptionReleased
	ReasonPriceNotFound       = price.ReasonPriceNotFound
	ReasonPriceTaken          = price.ReasonPriceTaken
	ReasonTaxRateNotFound     = price.ReasonTaxRateNotFound
	ReasonTaxRateTaken        = price.ReasonTaxRateTaken
	ReasonCouponNotFound      = price.ReasonCouponNotFound
	ReasonCouponTaken         = price.ReasonCouponTaken
	ReasonCouponRedeemed      = price.ReasonCouponRedeemed
	ReasonLimitBelowUsed      = price.ReasonLimitBelowUsed
	ReasonWindowEmpty         = price.ReasonWindowEmpty
	ReasonEtagMismatch        = price.ReasonEtagMismatch
	ReasonPageTokenInvalid    = price.ReasonPageTokenInvalid
)
