// Package cart is the module of what visitors mean to buy.
//
// A visitor gets a cart, puts SKUs into it and takes them out again. What a line costs is asked of pricing, over its contract,
// whenever the line is added or changed; the cart remembers the answer, so that reading a cart calls nobody. RequoteCart asks
// again, says which lines are other than before, and what all of it costs with coupon and tax. A cart knows nothing of stock:
// whether the pieces can be had is decided at the checkout.
//
// A cart is a guest's or a customer's, and a customer has one open cart. At the login the guest's cart is given to the customer,
// or, when there is one, put into the customer's: then it is MERGED, and nothing is in it any more. When a customer is to be
// forgotten (event shop.customer.v1.CustomerErased), the name is taken off every cart, and everything out of it.
//
// A cart's life has one turn. When the order module says that an order was made of it (event shop.order.v1.OrderConfirmed), it
// becomes ORDERED, and nothing in it changes any more. The event may come twice, or late: a cart that was ordered stays so, and
// the order module itself sees to it that a cart isn't bought twice meanwhile.
//
// The parts: internal/basket is the business and knows no transport, no SQL and no other module; internal/store keeps carts in
// SQL; internal/prices asks pricing; internal/rpc speaks the contract. [Module] wires them, and nothing else does.
package cart

import (
	"github.com/cleavehq/cleave/services/cart/internal/basket"
	"github.com/cleavehq/cleave/services/cart/internal/rpc"
)

// Name of the module in the registry, and the group in which it consumes events.
const Name = "cart"

// Limits of a cart.
const (
	// MaxLines is how many different SKUs a cart holds at most.
	MaxLines = basket.MaxLines
	// MaxPieces is how many pieces of one SKU a cart holds at most.
	MaxPieces = basket.MaxPieces
	// MaxMinor is the highest amount of a line and of a cart, in minor units: the limit of shop.type.v1.Money.
	MaxMinor = basket.MaxMinor
)

// Reasons of the errors that this module makes, as a client reads them in a problem document.
const (
	ReasonCartNotFound      = basket.ReasonCartNotFound
	ReasonVariantNotFound   = basket.ReasonVariantNotFound
	ReasonItemNotFound      = basket.ReasonItemNotFound
	ReasonProductNotForSale = basket.ReasonProductNotForSale
	ReasonCurrencyMismatch  = basket.ReasonCurrencyMismatch
	ReasonCartOrdered       = basket.ReasonCartOrdered
	ReasonCartMerged        = basket.ReasonCartMerged
	ReasonCartOfAnother     = basket.ReasonCartOfAnother
	ReasonCustomerHasCart   = basket.ReasonCustomerHasCart
	ReasonCartFull          = basket.ReasonCartFull
	ReasonQuantityTooLarge  = basket.ReasonQuantityTooLarge
	ReasonTotalTooLarge     = basket.ReasonTotalTooLarge
	ReasonNotOwner          = rpc.ReasonNotOwner
)
