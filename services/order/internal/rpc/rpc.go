// Package rpc speaks shop.order.v1 for the checkout: it turns messages into calls and orders into messages, and decides nothing.
package rpc

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Handler is orderv1.OrderHandler over a checkout.Service.
type Handler struct{ svc *checkout.Service }

var _ orderv1.OrderHandler = (*Handler)(nil)

// New returns a Handler.
func New(svc *checkout.Service) *Handler { return &Handler{svc: svc} }

// CreateOrder implements orderv1.OrderHandler.
func (h *Handler) CreateOrder(ctx context.Context, in *orderv1.CreateOrderRequest, out *orderv1.PlacedOrder) error {
	ctx, key, err := keyed(ctx, in.GetRequestId())
	if err != nil {
		return err
	}
	a := in.GetShippingAddress()
	o, err := h.svc.Place(ctx, checkout.Request{
		CartID: id(in.GetCartId()), Email: in.GetEmail(), RequestID: key, Token: sale.NewToken(in.GetPaymentToken()),
		Coupon: strings.ToUpper(in.GetCouponCode()), Expected: amount(in.GetExpectedTotal()),
		Address: sale.Address{
			Name: a.GetName(), Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(), PostalCode: a.GetPostalCode(), Country: a.GetCountry(),
		},
	})
	if err != nil {
		return err
	}
	return fill(out, o)
}

// GetOrder implements orderv1.OrderHandler.
func (h *Handler) GetOrder(ctx context.Context, in *orderv1.GetOrderRequest, out *orderv1.PlacedOrder) error {
	o, err := h.seen(ctx, id(in.GetOrderId()))
	if err != nil {
		return err
	}
	return fill(out, o)
}

// ListOrders implements orderv1.OrderHandler.
func (h *Handler) ListOrders(ctx context.Context, in *orderv1.ListOrdersRequest, out *orderv1.ListOrdersResponse) error {
	orders, next, err := h.svc.List(ctx, filter(in.GetState()), int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Orders, err = placed(orders)
	return err
}

// ListOrderEvents implements orderv1.OrderHandler.
func (h *Handler) ListOrderEvents(ctx context.Context, in *orderv1.ListOrderEventsRequest, out *orderv1.ListOrderEventsResponse) error {
	history, err := h.svc.History(ctx, id(in.GetOrderId()))
	if err != nil {
		return err
	}
	for _, e := range history {
		out.Events = append(out.Events, entry(e))
	}
	return nil
}

// WatchOrder implements orderv1.OrderHandler.
func (h *Handler) WatchOrder(ctx context.Context, in *orderv1.WatchOrderRequest, out orderv1.Order_WatchOrderStream) error {
	if _, err := h.seen(ctx, id(in.GetOrderId())); err != nil {
		return err
	}
	return h.svc.Watch(ctx, id(in.GetOrderId()), in.GetLastEventId(), func(e sale.Entry) error {
		return out.Send(&orderv1.WatchOrderResponse{EventId: e.Sequence, Event: entry(e)})
	})
}

// CancelOrder implements orderv1.OrderHandler. The order is the key: it is cancelled once.
func (h *Handler) CancelOrder(ctx context.Context, in *orderv1.CancelOrderRequest, out *orderv1.PlacedOrder) error {
	ctx, _, err := keyed(ctx, in.GetRequestId())
	if err == nil {
		err = h.theirs(ctx, id(in.GetOrderId()))
	}
	if err != nil {
		return err
	}
	o, err := h.svc.Cancel(ctx, id(in.GetOrderId()))
	if err != nil {
		return err
	}
	return fill(out, o)
}

// RefundOrder implements orderv1.OrderHandler.
func (h *Handler) RefundOrder(ctx context.Context, in *orderv1.RefundOrderRequest, out *orderv1.PlacedOrder) error {
	if m := in.GetAmount(); m != nil && m.GetMinor() == 0 {
		return problem.Invalid(problem.Field{Path: "amount.minor", Message: "must be more than 0; leave amount out to refund all that is left"})
	}
	ctx, key, err := keyed(ctx, in.GetRequestId())
	if err != nil {
		return err
	}
	o, err := h.svc.Refund(ctx, checkout.RefundRequest{
		OrderID: id(in.GetOrderId()), Amount: amount(in.GetAmount()), Reason: in.GetReason(), RequestID: key,
	})
	if err != nil {
		return err
	}
	return fill(out, o)
}

// keyed returns the request's key: its request_id, or else the metadata's. The context that it returns hasn't the metadata any more: what a
// handler was sent goes on to those that it calls, and there the key would be another request's.
func keyed(ctx context.Context, requestID string) (context.Context, string, error) {
	sent, err := idempotency.Key(ctx)
	if err != nil {
		return nil, "", err
	}
	key := requestID
	if key == "" {
		key = sent
	}
	if uuid.Validate(key) == nil {
		key = id(key)
	}
	return metadata.Delete(ctx, idempotency.Header), key, nil
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }
