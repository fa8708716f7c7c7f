package basket

import "fmt"

// Reasons of the errors that carts make.
const (
	// ReasonCartNotFound: NOT_FOUND, no cart has this id.
	ReasonCartNotFound = "CART_NOT_FOUND"
	// ReasonVariantNotFound: NOT_FOUND, the catalogue has no such SKU.
	ReasonVariantNotFound = "VARIANT_NOT_FOUND"
	// ReasonItemNotFound: NOT_FOUND, the SKU isn't in the cart.
	ReasonItemNotFound = "ITEM_NOT_FOUND"
	// ReasonProductNotForSale: FAILED_PRECONDITION, the product is a draft or archived.
	ReasonProductNotForSale = "PRODUCT_NOT_FOR_SALE"
	// ReasonCurrencyMismatch: FAILED_PRECONDITION, the cart has lines in another currency.
	ReasonCurrencyMismatch = "CURRENCY_MISMATCH"
	// ReasonCartOrdered: FAILED_PRECONDITION, an order was made of the cart.
	ReasonCartOrdered = "CART_ORDERED"
	// ReasonCartMerged: FAILED_PRECONDITION, the cart was put into another one.
	ReasonCartMerged = "CART_MERGED"
	// ReasonCartOfAnother: FAILED_PRECONDITION, the cart is another customer's.
	ReasonCartOfAnother = "CART_OF_ANOTHER"
	// ReasonCustomerHasCart: ALREADY_EXISTS, the customer has another open cart.
	ReasonCustomerHasCart = "CUSTOMER_HAS_CART"
	// ReasonCartFull: FAILED_PRECONDITION, one more line than MaxLines.
	ReasonCartFull = "CART_FULL"
	// ReasonQuantityTooLarge: FAILED_PRECONDITION, more pieces on one line than MaxPieces.
	ReasonQuantityTooLarge = "QUANTITY_TOO_LARGE"
	// ReasonTotalTooLarge: FAILED_PRECONDITION, a line or the cart would cost more than MaxMinor.
	ReasonTotalTooLarge = "TOTAL_TOO_LARGE"
)

func limits(least int64) string {
	return fmt.Sprintf("must be between %d and %d", least, int64(MaxPieces))
}
