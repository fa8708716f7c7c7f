// Package rpc speaks shop.cart.v1 for the cart's business: it turns messages into calls and carts into messages, and decides
// nothing.
package rpc

import (
	"context"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/problem"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
)

// Quotes says what a cart costs in all.
type Quotes interface {
	// Quote prices a cart with items, its coupon, and the tax of a country, which may be empty.
	Quote(ctx context.Context, c basket.Cart, country string) (*pricingv1.Quote, error)
}

// Handler is cartv1.CartHandler over a basket.Service.
type Handler struct {
	svc    *basket.Service
	quotes Quotes
}

var _ cartv1.CartHandler = (*Handler)(nil)

// New returns a Handler.
func New(svc *basket.Service, quotes Quotes) *Handler { return &Handler{svc: svc, quotes: quotes} }

// CreateCart implements cartv1.CartHandler.
func (h *Handler) CreateCart(ctx context.Context, in *cartv1.CreateCartRequest, out *cartv1.ShoppingCart) error {
	customer, err := owner(ctx, in.GetCustomerId(), scopeAll)
	if err != nil {
		return err
	}
	wanted := make([]basket.Wanted, 0, len(in.GetItems()))
	for _, i := range in.GetItems() {
		wanted = append(wanted, basket.Wanted{SKU: i.GetSku(), Quantity: i.GetQuantity()})
	}
	c, err := h.svc.Create(ctx, customer, wanted)
	return answer(out, c, err)
}

// GetCart implements cartv1.CartHandler.
func (h *Handler) GetCart(ctx context.Context, in *cartv1.GetCartRequest, out *cartv1.ShoppingCart) error {
	c, err := h.svc.Get(ctx, id(in.GetCartId()))
	return answer(out, c, err)
}

// AddItem implements cartv1.CartHandler.
func (h *Handler) AddItem(ctx context.Context, in *cartv1.AddItemRequest, out *cartv1.ShoppingCart) error {
	c, err := h.svc.Add(ctx, id(in.GetCartId()), in.GetSku(), in.GetQuantity())
	return answer(out, c, err)
}

// UpdateItem implements cartv1.CartHandler.
func (h *Handler) UpdateItem(ctx context.Context, in *cartv1.UpdateItemRequest, out *cartv1.ShoppingCart) error {
	c, err := h.svc.Update(ctx, id(in.GetCartId()), in.GetSku(), in.GetQuantity())
	return answer(out, c, err)
}

// RemoveItem implements cartv1.CartHandler.
func (h *Handler) RemoveItem(ctx context.Context, in *cartv1.RemoveItemRequest, out *cartv1.ShoppingCart) error {
	c, err := h.svc.Remove(ctx, id(in.GetCartId()), in.GetSku())
	return answer(out, c, err)
}

// answer fills out with c, field by field: a message is not to be copied.
func answer(out *cartv1.ShoppingCart, c basket.Cart, err error) error {
	if err != nil {
		return err
	}
	total, err := c.Total()
	if err != nil {
		return problem.Internal(err) // what the store keeps adds up, or something is broken
	}
	out.Id = c.ID
	out.State = state(c.State)
	out.Total = money(total)
	out.CustomerId, out.CouponCode, out.MergedInto = c.Customer, c.Coupon, c.MergedInto
	out.CreateTime, out.UpdateTime = timestamppb.New(c.Created), timestamppb.New(c.Updated)
	out.Items = make([]*cartv1.Item, 0, len(c.Items))
	for _, i := range c.Items {
		line, err := i.Total()
		if err != nil {
			return problem.Internal(err)
		}
		out.Items = append(out.Items, &cartv1.Item{
			Sku: i.SKU, Title: i.Title, Quantity: i.Quantity, UnitPrice: money(i.Unit), LineTotal: money(line),
		})
	}
	return nil
}

func money(m basket.Money) *typev1.Money { return &typev1.Money{Currency: m.Currency, Minor: m.Minor} }

func state(s basket.State) cartv1.CartState {
	switch s {
	case basket.Open:
		return cartv1.CartState_CART_STATE_OPEN
	case basket.Ordered:
		return cartv1.CartState_CART_STATE_ORDERED
	case basket.Merged:
		return cartv1.CartState_CART_STATE_MERGED
	default:
		return cartv1.CartState_CART_STATE_UNSPECIFIED
	}
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }
