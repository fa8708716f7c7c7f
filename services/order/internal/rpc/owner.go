package rpc

import (
	"context"

	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/problem"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

const (
	// customers is the issuer of the customers' tokens, whose subjects are their ids: module customer's Issuer.
	customers  = "cleave"
	scopeRead  = "order.read"
	scopeWrite = "order.write"
	me         = "me"

	// ReasonNotOwner says, with PERMISSION_DENIED, that the customer_id is another customer's.
	ReasonNotOwner = "NOT_OWNER"
	// ReasonScope says, with PERMISSION_DENIED, that a scope is missing: the edge's word for it.
	ReasonScope = "SCOPE_MISSING"
)

// seen returns an order, when the call may see it: a guest's is for whoever knows its id, a customer's for the customer and for who may read all.
// To anybody else there is no such order.
func (h *Handler) seen(ctx context.Context, orderID string) (sale.Order, error) {
	o, err := h.svc.Get(ctx, orderID)
	if err == nil && o.CustomerID != "" && !authn.Allowed(ctx, customers, o.CustomerID, scopeRead) {
		return sale.Order{}, problem.NotFound(sale.ReasonOrderNotFound, "there is no such order")
	}
	return o, err
}

// theirs says whether a call from outside may change an order.
func (h *Handler) theirs(ctx context.Context, orderID string) error {
	who, outside := authn.Outside(ctx)
	if !outside || who.Granted(scopeWrite) {
		return nil
	}
	o, err := h.seen(ctx, orderID)
	if err == nil && !who.Owns(customers, o.CustomerID) {
		return problem.PermissionDenied(ReasonScope, "the scope %s is needed", scopeWrite)
	}
	return err
}

// ListCustomerOrders implements orderv1.OrderHandler.
func (h *Handler) ListCustomerOrders(
	ctx context.Context, in *orderv1.ListCustomerOrdersRequest, out *orderv1.ListCustomerOrdersResponse,
) (err error) {
	customer := id(in.GetCustomerId())
	if who, _ := authn.Outside(ctx); customer == me {
		if !who.Owns(customers, who.Subject) {
			return problem.PermissionDenied(ReasonNotOwner, "only a customer's access token says who \"me\" is")
		}
		customer = who.Subject
	}
	if !authn.Allowed(ctx, customers, customer, scopeRead) {
		return problem.PermissionDenied(ReasonNotOwner, "customer_id must be the caller's own")
	}
	orders, next, err := h.svc.ListOf(ctx, customer, filter(in.GetState()), int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Orders, err = placed(orders)
	return err
}

// placed makes the messages of a page.
func placed(orders []sale.Order) ([]*orderv1.PlacedOrder, error) {
	out := make([]*orderv1.PlacedOrder, len(orders))
	for i, o := range orders {
		out[i] = &orderv1.PlacedOrder{}
		if err := fill(out[i], o); err != nil {
			return nil, err
		}
	}
	return out, nil
}
