// Package rpc speaks shop.fulfilment.v1 for the module's business: it turns messages into calls and back, and decides nothing.
package rpc

import (
	"context"
	"errors"
	"strings"

	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
)

// Handler is fulfilmentv1.FulfilmentHandler over a shipping.Service. The server has validated each request before.
type Handler struct{ svc *shipping.Service }

var _ fulfilmentv1.FulfilmentHandler = (*Handler)(nil)

// New returns a Handler.
func New(svc *shipping.Service) (*Handler, error) {
	if svc == nil {
		return nil, errors.New("fulfilment: a service is needed")
	}
	return &Handler{svc: svc}, nil
}

// GetFulfilment implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) GetFulfilment(ctx context.Context, in *fulfilmentv1.GetFulfilmentRequest, out *fulfilmentv1.FulfilmentOrder) error {
	f, err := h.svc.Get(ctx, id(in.GetOrderId()))
	if err != nil {
		return err
	}
	fill(out, f)
	return nil
}

// ListFulfilments implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) ListFulfilments(ctx context.Context, in *fulfilmentv1.ListFulfilmentsRequest, out *fulfilmentv1.ListFulfilmentsResponse) error {
	only := shipping.Filter{State: filter(in.GetState()), LeftBeforeCancel: in.GetLeftBeforeCancel()}
	found, next, err := h.svc.List(ctx, only, int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Fulfilments = make([]*fulfilmentv1.FulfilmentOrder, len(found))
	for i, f := range found {
		out.Fulfilments[i] = &fulfilmentv1.FulfilmentOrder{}
		fill(out.Fulfilments[i], f)
	}
	return nil
}

// CreateShipment implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) CreateShipment(ctx context.Context, in *fulfilmentv1.CreateShipmentRequest, out *fulfilmentv1.Shipment) error {
	s, err := h.svc.Pack(ctx, id(in.GetOrderId()), pieces(in.GetLines()), id(in.GetRequestId()))
	return shipment(out, s, err)
}

// ShipShipment implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) ShipShipment(ctx context.Context, in *fulfilmentv1.ShipShipmentRequest, out *fulfilmentv1.Shipment) error {
	s, err := h.svc.Ship(ctx, id(in.GetShipmentId()), in.GetCarrier(), in.GetTrackingNumber())
	return shipment(out, s, err)
}

// DeliverShipment implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) DeliverShipment(ctx context.Context, in *fulfilmentv1.DeliverShipmentRequest, out *fulfilmentv1.Shipment) error {
	s, err := h.svc.Deliver(ctx, id(in.GetShipmentId()))
	return shipment(out, s, err)
}

// CancelShipment implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) CancelShipment(ctx context.Context, in *fulfilmentv1.CancelShipmentRequest, out *fulfilmentv1.Shipment) error {
	s, err := h.svc.CancelShipment(ctx, id(in.GetShipmentId()))
	return shipment(out, s, err)
}

// CreateReturn implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) CreateReturn(ctx context.Context, in *fulfilmentv1.CreateReturnRequest, out *fulfilmentv1.GoodsReturn) error {
	r, err := h.svc.Announce(ctx, id(in.GetOrderId()), pieces(in.GetLines()), in.GetReason(), id(in.GetRequestId()))
	return goodsReturn(out, r, err)
}

// ReceiveReturn implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) ReceiveReturn(ctx context.Context, in *fulfilmentv1.ReceiveReturnRequest, out *fulfilmentv1.GoodsReturn) error {
	r, err := h.svc.Receive(ctx, id(in.GetReturnId()), in.GetRestock())
	return goodsReturn(out, r, err)
}

// CancelReturn implements fulfilmentv1.FulfilmentHandler.
func (h *Handler) CancelReturn(ctx context.Context, in *fulfilmentv1.CancelReturnRequest, out *fulfilmentv1.GoodsReturn) error {
	r, err := h.svc.CancelReturn(ctx, id(in.GetReturnId()))
	return goodsReturn(out, r, err)
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }
