package basket

import (
	"context"
	"fmt"

	"github.com/cleavehq/cleave/chassis/problem"
)

// OfCustomer returns the open cart of a customer, or CART_NOT_FOUND.
func (s *Service) OfCustomer(ctx context.Context, customer string) (Cart, error) {
	c, found, err := s.cfg.Store.OpenOf(ctx, customer)
	if err == nil && !found {
		err = problem.NotFound(ReasonCartNotFound, "customer %s has no open cart", customer)
	}
	return c, err
}

// Assign gives a guest's cart to a customer. One that is the customer's already changes nothing. CART_OF_ANOTHER when it is another
// customer's, CUSTOMER_HAS_CART when the customer has another open one.
func (s *Service) Assign(ctx context.Context, id, customer string) (result Cart, err error) {
	now := s.now()
	err = s.cfg.Store.Update(ctx, func(tx Tx) error {
		c, err := tx.Get(ctx, id)
		if err != nil {
			return err
		}
		result = c
		if c.Customer == customer {
			return nil
		}
		if err := c.guests(customer); err != nil {
			return err
		}
		if _, has, err := tx.OpenOf(ctx, customer); err != nil || has {
			return hasCart(customer, err)
		}
		c.Customer, c.Updated = customer, now
		result = c
		return tx.Put(ctx, c)
	})
	if err != nil {
		return Cart{}, fmt.Errorf("assign a cart: %w", err)
	}
	return result, nil
}

// Merge puts a guest's cart into the open cart of a customer, and returns that one. A customer without one gets the guest's, and a cart that is
// the customer's already is returned as it is. Sent again it changes nothing. When the sum breaks a limit, both stay as they were.
func (s *Service) Merge(ctx context.Context, from, customer string) (result Cart, err error) {
	now := s.now()
	err = s.cfg.Store.Update(ctx, func(tx Tx) error {
		guest, err := tx.Get(ctx, from)
		if err != nil {
			return err
		}
		result = guest
		if guest.State == Merged { // sent again
			if result, err = tx.Get(ctx, guest.MergedInto); err == nil && result.Customer != customer {
				err = ofAnother(from)
			}
			return err
		}
		if guest.Customer == customer {
			return nil
		}
		if err := guest.guests(customer); err != nil {
			return err
		}
		into, has, err := tx.OpenOf(ctx, customer)
		if err != nil {
			return err
		}
		if !has {
			guest.Customer, guest.Updated = customer, now
			result = guest
			return tx.Put(ctx, guest)
		}
		if err := into.Take(&guest); err != nil {
			return err
		}
		into.Updated, guest.Updated = now, now
		result = into
		if err := tx.Put(ctx, guest); err != nil {
			return err
		}
		return tx.Put(ctx, into)
	})
	if err != nil {
		return Cart{}, fmt.Errorf("merge a cart: %w", err)
	}
	return result, nil
}

// Erase forgets a customer: no cart has the name any more, and nothing is in those that had it.
func (s *Service) Erase(ctx context.Context, customer string) error {
	if customer == "" { // that would be every guest
		return problem.InvalidArgument("CUSTOMER_EMPTY", "no customer is named")
	}
	return s.cfg.Store.Erase(ctx, customer, s.now())
}

// Take moves everything from another open cart into this one, and marks that one as merged. Pieces of the same SKU add up, at the other's
// title and price: a guest's cart is the younger one as a rule. The cart keeps its coupon; when it has none it takes the other's. When a
// limit is broken, both stay as they were.
func (c *Cart) Take(from *Cart) error {
	if err := c.open(); err != nil {
		return err
	}
	if err := from.open(); err != nil {
		return err
	}
	next := *c
	for _, it := range from.Items {
		if err := next.Add(Variant{SKU: it.SKU, Title: it.Title, Price: it.Unit, Status: ForSale}, it.Quantity); err != nil {
			return err
		}
	}
	if next.Coupon == "" {
		next.Coupon = from.Coupon
	}
	*c = next
	from.State, from.MergedInto, from.Items, from.Coupon = Merged, c.ID, nil, ""
	return nil
}

// guests says why a cart can't be given to a customer: it isn't a guest's, or not open.
func (c *Cart) guests(customer string) error {
	if c.Customer != "" && c.Customer != customer {
		return ofAnother(c.ID)
	}
	return c.open()
}

func ofAnother(id string) error {
	return problem.FailedPrecondition(ReasonCartOfAnother, "cart %s is another customer's", id)
}

func hasCart(customer string, err error) error {
	if err != nil {
		return err
	}
	return problem.AlreadyExists(ReasonCustomerHasCart, "customer %s has an open cart", customer)
}
