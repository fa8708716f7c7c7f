// Package basket is the business of the cart module: carts, their lines, and the rules between them.
package basket

import (
	"slices"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Limits of a cart.
const (
	// MaxLines is how many different SKUs a cart holds at most. Inventory reserves no more in one order.
	MaxLines = 200
	// MaxPieces is how many pieces of one SKU a cart holds at most.
	MaxPieces = 10_000
	// MaxMinor is the highest amount of a line and of a cart, in minor units: the limit of shop.type.v1.Money.
	MaxMinor = 1_000_000_000_000_000
)

// State is whether a cart can still be changed.
type State int

// The states. Ordered and Merged are final.
const (
	Open State = iota + 1
	Ordered
	// Merged: what was in it is in another cart.
	Merged
)

// Cart is one visitor's choice. Its methods keep it within its limits; they do no I/O.
type Cart struct {
	// ID is a UUIDv7.
	ID    string
	State State
	// Items are by the order they were added in; no SKU is there twice, and all have one currency.
	Items            []Item
	Created, Updated time.Time
	// Customer is whose it is; empty for a guest's.
	Customer string
	// Coupon is the code that was typed, in capitals; empty when there is none.
	Coupon string
	// MergedInto is the id of the cart that this one was put into, when it is Merged.
	MergedInto string
}

// Item is one line of a cart.
type Item struct {
	SKU, Title string
	// Quantity is 1 to MaxPieces.
	Quantity int64
	// Unit is the price of one piece.
	Unit Money
}

// Total returns unit price x quantity.
func (i Item) Total() (Money, error) { return i.Unit.Times(i.Quantity) }

// Variant is what pricing says about one SKU.
type Variant struct {
	SKU, Title string
	Price      Money
	Status     Status
}

// Status is whether a SKU can be bought. The numbers are those of shop.pricing.v1.PriceStatus.
type Status int

// The statuses.
const (
	ForSale Status = iota + 1
	// NotForSale: its product is a draft, or archived.
	NotForSale
	// UnknownSKU: the catalogue has no such thing.
	UnknownSKU
	// NoPrice: it can be bought in other currencies only.
	NoPrice
)

// Total returns the sum of the lines: no currency and 0 when the cart is empty.
func (c *Cart) Total() (Money, error) {
	var sum Money
	for _, it := range c.Items {
		line, err := it.Total()
		if err != nil {
			return Money{}, err
		}
		if sum, err = sum.Plus(line); err != nil {
			return Money{}, err
		}
	}
	return sum, nil
}

// Add puts more pieces of v into the cart. A line that is there already takes v's title and price of today, for all its pieces.
func (c *Cart) Add(v Variant, quantity int64) error {
	if err := c.open(); err != nil {
		return err
	}
	if quantity < 1 || quantity > MaxPieces {
		return wrongQuantity(1)
	}
	if i := c.index(v.SKU); i >= 0 {
		quantity += c.Items[i].Quantity
	}
	return c.put(v, quantity)
}

// Set makes the pieces of v, which is in the cart, exactly quantity, at v's title and price of today.
func (c *Cart) Set(v Variant, quantity int64) error {
	if err := c.open(); err != nil {
		return err
	}
	if quantity < 1 || quantity > MaxPieces {
		return wrongQuantity(0)
	}
	if err := c.Holds(v.SKU); err != nil {
		return err
	}
	return c.put(v, quantity)
}

// Remove takes a SKU out. It says whether it was there.
func (c *Cart) Remove(sku string) (bool, error) {
	if err := c.open(); err != nil {
		return false, err
	}
	i := c.index(sku)
	if i < 0 {
		return false, nil
	}
	c.Items = slices.Delete(c.Items, i, i+1)
	return true, nil
}

// Order marks the cart as ordered, and says whether it was not. A merged one stays so: it is done with either way.
func (c *Cart) Order() bool {
	was := c.State
	if was == Open {
		c.State = Ordered
	}
	return c.State != was
}

// Holds returns ITEM_NOT_FOUND unless the SKU is in the cart.
func (c *Cart) Holds(sku string) error {
	if c.index(sku) < 0 {
		return problem.NotFound(ReasonItemNotFound, "%q is not in the cart", sku)
	}
	return nil
}

func (c *Cart) put(v Variant, quantity int64) error {
	if err := v.check(); err != nil {
		return err
	}
	if quantity > MaxPieces {
		return problem.FailedPrecondition(ReasonQuantityTooLarge, "a cart holds at most %d pieces of one SKU", MaxPieces)
	}
	// The change is made on a copy, so that a cart that refuses it is the cart it was.
	next := *c
	next.Items = slices.Clone(c.Items)
	line := Item{SKU: v.SKU, Title: v.Title, Quantity: quantity, Unit: v.Price}
	if i := c.index(v.SKU); i >= 0 {
		next.Items[i] = line
	} else {
		if len(c.Items) >= MaxLines {
			return problem.FailedPrecondition(ReasonCartFull, "a cart holds at most %d different SKUs", MaxLines)
		}
		next.Items = append(next.Items, line)
	}
	if _, err := next.Total(); err != nil {
		return err
	}
	*c = next
	return nil
}

func (c *Cart) open() error {
	switch c.State {
	case Open:
		return nil
	case Merged:
		return problem.FailedPrecondition(ReasonCartMerged, "the cart was put into cart %s and can't be changed", c.MergedInto)
	default:
		return problem.FailedPrecondition(ReasonCartOrdered, "the cart was ordered and can't be changed")
	}
}

// check says why a variant can't be put into a cart.
func (v Variant) check() error {
	switch v.Status {
	case ForSale:
		return nil
	case UnknownSKU:
		return problem.NotFound(ReasonVariantNotFound, "no variant has the SKU %q", v.SKU)
	case NoPrice:
		return problem.FailedPrecondition(ReasonCurrencyMismatch, "%q has no price in the currency of the cart", v.SKU)
	default:
		return problem.FailedPrecondition(ReasonProductNotForSale, "%q is not for sale", v.SKU)
	}
}

func (c *Cart) index(sku string) int {
	return slices.IndexFunc(c.Items, func(i Item) bool { return i.SKU == sku })
}

func wrongQuantity(least int64) error {
	return problem.Invalid(problem.Field{Path: "quantity", Message: limits(least)})
}
