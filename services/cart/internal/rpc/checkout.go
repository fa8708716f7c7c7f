package rpc

import (
	"context"

	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
)

// SetCoupon implements cartv1.CartHandler.
func (h *Handler) SetCoupon(ctx context.Context, in *cartv1.SetCouponRequest, out *cartv1.ShoppingCart) error {
	c, err := h.svc.SetCoupon(ctx, id(in.GetCartId()), in.GetCouponCode())
	return answer(out, c, err)
}

// GetCustomerCart implements cartv1.CartHandler.
func (h *Handler) GetCustomerCart(ctx context.Context, in *cartv1.GetCustomerCartRequest, out *cartv1.ShoppingCart) error {
	customer, err := owner(ctx, in.GetCustomerId(), scopeRead)
	if err != nil {
		return err
	}
	c, err := h.svc.OfCustomer(ctx, customer)
	return answer(out, c, err)
}

// AssignCart implements cartv1.CartHandler.
func (h *Handler) AssignCart(ctx context.Context, in *cartv1.AssignCartRequest, out *cartv1.ShoppingCart) error {
	customer, err := owner(ctx, in.GetCustomerId(), scopeAll)
	if err != nil {
		return err
	}
	c, err := h.svc.Assign(ctx, id(in.GetCartId()), customer)
	return answer(out, c, err)
}

// MergeCart implements cartv1.CartHandler.
func (h *Handler) MergeCart(ctx context.Context, in *cartv1.MergeCartRequest, out *cartv1.ShoppingCart) error {
	customer, err := owner(ctx, in.GetCustomerId(), scopeAll)
	if err != nil {
		return err
	}
	c, err := h.svc.Merge(ctx, id(in.GetFromCartId()), customer)
	return answer(out, c, err)
}

// RequoteCart implements cartv1.CartHandler. The quote is of the cart as it was left by the new prices.
func (h *Handler) RequoteCart(ctx context.Context, in *cartv1.RequoteCartRequest, out *cartv1.RequoteCartResponse) error {
	c, changes, err := h.svc.Requote(ctx, id(in.GetCartId()))
	if err != nil {
		return err
	}
	out.Cart = &cartv1.ShoppingCart{}
	if err := answer(out.GetCart(), c, nil); err != nil {
		return err
	}
	whole := len(c.Items) > 0
	for _, l := range changes {
		m := &cartv1.LineChange{Sku: l.SKU, OldUnitPrice: money(l.Old), Status: pricingv1.PriceStatus(l.Status)} //nolint:gosec // 1 to 4
		if l.Status == basket.ForSale {
			m.NewUnitPrice = money(l.New)
		} else {
			whole = false
		}
		out.Changes = append(out.Changes, m)
	}
	if whole {
		out.Quote, err = h.quotes.Quote(ctx, c, in.GetCountry())
	}
	return err
}
