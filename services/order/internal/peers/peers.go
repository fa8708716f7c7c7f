// Package peers calls the modules that an order needs, over their contracts, and turns their messages into its words.
package peers

import (
	"context"
	"fmt"
	"slices"

	"github.com/cleavehq/cleave/chassis/problem"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Carts is checkout.Carts over the cart module's contract.
type Carts struct{ client cartv1.CartService }

var _ checkout.Carts = (*Carts)(nil)

// NewCarts returns Carts that call client.
func NewCarts(client cartv1.CartService) *Carts { return &Carts{client: client} }

// Cart implements checkout.Carts.
func (c *Carts) Cart(ctx context.Context, id string) (checkout.Cart, error) {
	r, err := c.client.GetCart(ctx, &cartv1.GetCartRequest{CartId: id})
	if err != nil {
		return checkout.Cart{}, fmt.Errorf("get cart: %w", err)
	}
	cart := checkout.Cart{ID: r.GetId(), CustomerID: r.GetCustomerId(), Coupon: r.GetCouponCode()}
	switch r.GetState() {
	case cartv1.CartState_CART_STATE_OPEN:
	case cartv1.CartState_CART_STATE_ORDERED:
		cart.Ordered = true
	case cartv1.CartState_CART_STATE_MERGED:
		return checkout.Cart{}, problem.FailedPrecondition(sale.ReasonCartMerged, "the cart was put into another one: order that")
	default: // a state of a newer version of the contract: nothing that is known to be for sale
		return checkout.Cart{}, problem.Internal(fmt.Errorf("get cart: state %s", r.GetState()))
	}
	for _, i := range r.GetItems() {
		cart.Lines = append(cart.Lines, sale.Line{SKU: i.GetSku(), Title: i.GetTitle(), Quantity: i.GetQuantity(), Unit: money(i.GetUnitPrice())})
	}
	return cart, nil
}

// Stock is saga.Stock over the inventory module's contract.
type Stock struct{ client inventoryv1.InventoryService }

var _ saga.Stock = (*Stock)(nil)

// NewStock returns a Stock that calls client.
func NewStock(client inventoryv1.InventoryService) *Stock { return &Stock{client: client} }

// Reserve implements saga.Stock. The order's id is the reservation's.
func (s *Stock) Reserve(ctx context.Context, orderID string, lines []sale.Line) error {
	in := &inventoryv1.ReserveRequest{ReservationId: orderID}
	for _, l := range lines {
		in.Lines = append(in.Lines, &inventoryv1.Line{Sku: l.SKU, Quantity: l.Quantity})
	}
	r, err := s.client.Reserve(ctx, in)
	return reached("reserve stock", r, err, inventoryv1.ReservationState_RESERVATION_STATE_RESERVED)
}

// Commit implements saga.Stock.
func (s *Stock) Commit(ctx context.Context, orderID string) error {
	r, err := s.client.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: orderID})
	return reached("commit stock", r, err, inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED)
}

// Release implements saga.Stock. A reservation that expired is released.
func (s *Stock) Release(ctx context.Context, orderID string) error {
	r, err := s.client.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: orderID})
	return reached("release stock", r, err,
		inventoryv1.ReservationState_RESERVATION_STATE_RELEASED, inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED)
}

// Restock implements saga.Stock. The order's id is the reference, so that each line comes back once.
func (s *Stock) Restock(ctx context.Context, orderID string, lines []sale.Line) error {
	for _, l := range lines {
		_, err := s.client.Restock(ctx, &inventoryv1.RestockRequest{
			Sku: l.SKU, Quantity: l.Quantity, ReferenceId: "cancel:" + orderID, Reason: inventoryv1.RestockReason_RESTOCK_REASON_RETURN,
		})
		if err != nil {
			return fmt.Errorf("restock %s: %w", l.SKU, err)
		}
	}
	return nil
}

// reached takes no answer's word for it but its state's.
func reached(verb string, r *inventoryv1.Reservation, err error, want ...inventoryv1.ReservationState) error {
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if !slices.Contains(want, r.GetState()) {
		return problem.Internal(fmt.Errorf("%s: the reservation is %s", verb, r.GetState()))
	}
	return nil
}

func money(m *typev1.Money) sale.Money {
	return sale.Money{Currency: m.GetCurrency(), Minor: m.GetMinor()}
}
