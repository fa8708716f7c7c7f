package basket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Config is what a Service needs; every field but May is required.
type Config struct {
	Store  Store
	Prices Prices
	// Now is the clock.
	Now func() time.Time
	// May says whether a call may have what belongs to a customer; nil lets every call. To whom it doesn't, the customer's cart is CART_NOT_FOUND.
	May func(ctx context.Context, customer string) bool
}

// Service is the carts' business. It is safe for concurrent use. A cancelled context leaves a cart as it was, or changed as a
// whole.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Prices == nil || cfg.Now == nil {
		return nil, errors.New("basket: Store, Prices and Now are required")
	}
	return &Service{cfg: cfg}, nil
}

// Wanted is so many pieces of a SKU, to be put into a new cart.
type Wanted struct {
	SKU      string
	Quantity int64
}

// Create makes a cart with these lines, or none at all when one of them is refused. A SKU may be named twice: its pieces add up. customer is
// empty for a guest; CUSTOMER_HAS_CART when the customer has an open one.
func (s *Service) Create(ctx context.Context, customer string, wanted []Wanted) (Cart, error) {
	variants, err := s.variants(ctx, wanted)
	if err != nil {
		return Cart{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Cart{}, fmt.Errorf("make a cart id: %w", err)
	}
	now := s.now()
	c := Cart{ID: id.String(), State: Open, Created: now, Updated: now, Customer: customer}
	for _, w := range wanted {
		if err := c.Add(variants[w.SKU], w.Quantity); err != nil {
			return Cart{}, err
		}
	}
	if err := s.cfg.Store.Create(ctx, c); err != nil {
		return Cart{}, fmt.Errorf("create cart: %w", err)
	}
	return c, nil
}

// Get returns a cart, or CART_NOT_FOUND.
func (s *Service) Get(ctx context.Context, id string) (Cart, error) {
	c, err := s.cfg.Store.Get(ctx, id)
	if err == nil {
		err = s.may(ctx, &c)
	}
	if err != nil {
		return Cart{}, err
	}
	return c, nil
}

// may returns CART_NOT_FOUND when the caller may not have the cart.
func (s *Service) may(ctx context.Context, c *Cart) error {
	if c.Customer == "" || s.cfg.May == nil || s.cfg.May(ctx, c.Customer) {
		return nil
	}
	return problem.NotFound(ReasonCartNotFound, "no cart has the id %s", c.ID)
}

// Add puts more pieces of a SKU into a cart, at today's price. Pricing is asked before the cart is touched, so that no transaction waits
// for another service.
func (s *Service) Add(ctx context.Context, id, sku string, quantity int64) (Cart, error) {
	v, err := s.variant(ctx, sku)
	if err != nil {
		return Cart{}, err
	}
	return s.change(ctx, id, func(c *Cart) (bool, error) { return true, c.Add(v, quantity) })
}

// Update sets the pieces of a SKU that is in a cart, at today's price. 0 removes the line, as Remove does: sent again
// because the answer was lost, it is no error.
func (s *Service) Update(ctx context.Context, id, sku string, quantity int64) (Cart, error) {
	if quantity == 0 {
		return s.Remove(ctx, id, sku)
	}
	// Looked at first, so that a SKU that isn't in the cart is ITEM_NOT_FOUND whatever the catalogue thinks of it. It is
	// looked at again inside the change.
	before, err := s.Get(ctx, id)
	if err != nil {
		return Cart{}, err
	}
	if err := before.open(); err != nil {
		return Cart{}, err
	}
	if err := before.Holds(sku); err != nil {
		return Cart{}, err
	}
	v, err := s.variant(ctx, sku)
	if err != nil {
		return Cart{}, err
	}
	return s.change(ctx, id, func(c *Cart) (bool, error) { return true, c.Set(v, quantity) })
}

// Remove takes a SKU out of a cart; one that isn't in it changes nothing.
func (s *Service) Remove(ctx context.Context, id, sku string) (Cart, error) {
	return s.change(ctx, id, func(c *Cart) (bool, error) { return c.Remove(sku) })
}

// MarkOrdered says that an order was made of a cart. Said twice, it changes nothing the second time.
func (s *Service) MarkOrdered(ctx context.Context, id string) error {
	_, err := s.change(ctx, id, func(c *Cart) (bool, error) {
		return c.Order(), nil
	})
	return err
}

// change applies fn, and sets the time when fn says that it changed something.
func (s *Service) change(ctx context.Context, id string, fn func(*Cart) (changed bool, err error)) (Cart, error) {
	return s.cfg.Store.Change(ctx, id, func(c *Cart) error {
		if err := s.may(ctx, c); err != nil {
			return err
		}
		changed, err := fn(c)
		if changed && err == nil {
			c.Updated = s.now()
		}
		return err
	})
}

// variant asks for one SKU; VARIANT_NOT_FOUND when there is none.
func (s *Service) variant(ctx context.Context, sku string) (Variant, error) {
	found, err := s.cfg.Prices.LookUp(ctx, []string{sku}, "")
	if err != nil {
		return Variant{}, err
	}
	if found[0].Status == UnknownSKU {
		return Variant{}, found[0].check()
	}
	return found[0], nil
}

// variants asks for every SKU once.
func (s *Service) variants(ctx context.Context, wanted []Wanted) (map[string]Variant, error) {
	if len(wanted) > MaxLines {
		return nil, problem.InvalidArgument(ReasonCartFull, "a cart is made with at most %d lines", MaxLines)
	}
	var skus []string
	variants := make(map[string]Variant, len(wanted))
	for _, w := range wanted {
		if _, seen := variants[w.SKU]; !seen {
			variants[w.SKU] = Variant{}
			skus = append(skus, w.SKU)
		}
	}
	if len(skus) == 0 {
		return variants, nil
	}
	found, err := s.cfg.Prices.LookUp(ctx, skus, "")
	if err != nil {
		return nil, err
	}
	for i, sku := range skus {
		variants[sku] = found[i]
	}
	return variants, nil
}

// now is the clock at the precision that the store keeps.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
