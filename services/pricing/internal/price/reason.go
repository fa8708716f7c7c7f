package price

import "github.com/cleavehq/cleave/chassis/page"

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonVariantNotFound     = "VARIANT_NOT_FOUND"       // NotFound: the catalogue knows no such SKU
	ReasonProductNotForSale   = "PRODUCT_NOT_FOR_SALE"    // FailedPrecondition: the product is a draft or archived
	ReasonCurrencyMismatch    = "CURRENCY_MISMATCH"       // FailedPrecondition: the SKU has no price in the quote's currency
	ReasonTotalTooLarge       = "TOTAL_TOO_LARGE"         // FailedPrecondition: a line or the quote would be more than MaxMinor
	ReasonDuplicateSKU        = "DUPLICATE_SKU"           // InvalidArgument: two lines for one SKU
	ReasonOutOfRange          = "OUT_OF_RANGE"            // InvalidArgument: a number is beyond its limit
	ReasonRequestIDReused     = "REQUEST_ID_REUSED"       // AlreadyExists: the request id has asked for another quote
	ReasonQuoteNotFound       = "QUOTE_NOT_FOUND"         // NotFound
	ReasonQuoteExpired        = "QUOTE_EXPIRED"           // FailedPrecondition
	ReasonCouponNotApplicable = "COUPON_NOT_APPLICABLE"   // FailedPrecondition: unknown, out of its time, or not for this cart
	ReasonCouponExhausted     = "COUPON_EXHAUSTED"        // FailedPrecondition: its limit is reached
	ReasonRedemptionNotFound  = "REDEMPTION_NOT_FOUND"    // NotFound
	ReasonRedemptionDiffers   = "REDEMPTION_DIFFERS"      // AlreadyExists: the id has redeemed another quote
	ReasonRedemptionReleased  = "REDEMPTION_RELEASED"     // FailedPrecondition
	ReasonPriceNotFound       = "PRICE_NOT_FOUND"         // NotFound
	ReasonPriceTaken          = "PRICE_ALREADY_EXISTS"    // AlreadyExists: a price from the same moment on
	ReasonTaxRateNotFound     = "TAX_RATE_NOT_FOUND"      // NotFound
	ReasonTaxRateTaken        = "TAX_RATE_ALREADY_EXISTS" // AlreadyExists
	ReasonCouponNotFound      = "COUPON_NOT_FOUND"        // NotFound
	ReasonCouponTaken         = "COUPON_ALREADY_EXISTS"   // AlreadyExists
	ReasonCouponRedeemed      = "COUPON_REDEEMED"         // FailedPrecondition: it can't be deleted any more
	ReasonLimitBelowUsed      = "LIMIT_BELOW_USED"        // FailedPrecondition
	ReasonWindowEmpty         = "VALIDITY_EMPTY"          // InvalidArgument: valid_until is not after valid_from
	ReasonEtagMismatch        = "ETAG_MISMATCH"           // Aborted: it was changed meanwhile
	ReasonPageTokenInvalid    = page.ReasonTokenInvalid   // InvalidArgument
)
