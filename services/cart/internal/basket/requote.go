package basket

import (
	"context"
	"strings"
)

// LineChange says how a line differs from what the cart showed.
type LineChange struct {
	SKU      string
	Old, New Money
	// Status is ForSale when only the price changed; otherwise New is zero.
	Status Status
}

// SetCoupon puts a code into a cart, or takes it out when it is empty. A cart with items is priced with it first, so that a coupon that doesn't
// apply is refused, with pricing's reason.
func (s *Service) SetCoupon(ctx context.Context, id, code string) (Cart, error) {
	code = strings.ToUpper(code)
	if code != "" {
		c, err := s.Get(ctx, id)
		if err != nil {
			return Cart{}, err
		}
		if err := c.open(); err != nil {
			return Cart{}, err
		}
		c.Coupon = code
		if len(c.Items) > 0 {
			if err := s.cfg.Prices.Check(ctx, c); err != nil {
				return Cart{}, err
			}
		}
	}
	return s.change(ctx, id, func(c *Cart) (bool, error) {
		if err := c.open(); err != nil {
			return false, err
		}
		changed := c.Coupon != code
		c.Coupon = code
		return changed, nil
	})
}

// Requote brings a cart's prices up to date, and says which lines are other than before, in the order of the cart. A line that can't be bought
// any more stays as it is, and is among them.
func (s *Service) Requote(ctx context.Context, id string) (Cart, []LineChange, error) {
	before, err := s.Get(ctx, id)
	if err != nil {
		return Cart{}, nil, err
	}
	if err := before.open(); err != nil {
		return Cart{}, nil, err
	}
	if len(before.Items) == 0 {
		return before, nil, nil
	}
	skus := make([]string, len(before.Items))
	for i, it := range before.Items {
		skus[i] = it.SKU
	}
	found, err := s.cfg.Prices.LookUp(ctx, skus, before.Items[0].Unit.Currency)
	if err != nil {
		return Cart{}, nil, err
	}
	today := make(map[string]Variant, len(found))
	for _, v := range found {
		today[v.SKU] = v
	}
	var changes []LineChange
	after, err := s.change(ctx, id, func(c *Cart) (changed bool, err error) {
		changes, changed, err = c.reprice(today)
		return changed, err
	})
	if err != nil {
		return Cart{}, nil, err
	}
	return after, changes, nil
}

// reprice puts today's titles and prices into the lines that they are known of.
func (c *Cart) reprice(today map[string]Variant) (changes []LineChange, changed bool, err error) {
	if err := c.open(); err != nil {
		return nil, false, err
	}
	for i := range c.Items {
		it := &c.Items[i]
		v, known := today[it.SKU]
		if !known { // added meanwhile, at today's price
			continue
		}
		if v.Status != ForSale {
			changes = append(changes, LineChange{SKU: it.SKU, Old: it.Unit, Status: v.Status})
			continue
		}
		if it.Unit != v.Price {
			changes = append(changes, LineChange{SKU: it.SKU, Old: it.Unit, New: v.Price, Status: ForSale})
		}
		changed = changed || it.Unit != v.Price || it.Title != v.Title
		it.Unit, it.Title = v.Price, v.Title
	}
	_, err = c.Total()
	return changes, changed, err
}
