// Package rpc is the inventory as its contract has it: proto in, proto out, and the service between.
package rpc

import (
	"context"
	"errors"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/problem"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
)

// Handler answers the calls of shop.inventory.v1.Inventory. The server has validated each request before; what it can't, the
// rows of a batch, is validated here.
type Handler struct {
	service   *stock.Service
	validator protovalidate.Validator
}

var _ inventoryv1.InventoryHandler = (*Handler)(nil)

// New makes a Handler.
func New(service *stock.Service, validator protovalidate.Validator) (*Handler, error) {
	if service == nil || validator == nil {
		return nil, errors.New("inventory: a service and a validator are needed")
	}
	return &Handler{service: service, validator: validator}, nil
}

// GetStock implements inventoryv1.InventoryHandler.
func (h *Handler) GetStock(ctx context.Context, in *inventoryv1.GetStockRequest, out *inventoryv1.Stock) error {
	st, err := h.service.Get(ctx, in.GetSku())
	if err != nil {
		return err
	}
	putStock(out, st)
	return nil
}

// ListStock implements inventoryv1.InventoryHandler.
func (h *Handler) ListStock(ctx context.Context, in *inventoryv1.ListStockRequest, out *inventoryv1.ListStockResponse) error {
	page, next, err := h.service.List(ctx, int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Stock = make([]*inventoryv1.Stock, len(page))
	for i, st := range page {
		out.Stock[i] = Stock(st)
	}
	return nil
}

// SetStock implements inventoryv1.InventoryHandler.
func (h *Handler) SetStock(ctx context.Context, in *inventoryv1.SetStockRequest, out *inventoryv1.Stock) error {
	st, err := h.service.Set(ctx, stock.Count{SKU: in.GetSku(), OnHand: in.GetOnHand()})
	if err != nil {
		return err
	}
	putStock(out, st)
	return nil
}

// AdjustStock implements inventoryv1.InventoryHandler.
func (h *Handler) AdjustStock(ctx context.Context, in *inventoryv1.AdjustStockRequest, out *inventoryv1.Stock) error {
	st, err := h.service.Adjust(ctx, in.GetSku(), in.GetDelta(), id(in.GetRequestId()))
	if err != nil {
		return err
	}
	putStock(out, st)
	return nil
}

// Restock implements inventoryv1.InventoryHandler.
func (h *Handler) Restock(ctx context.Context, in *inventoryv1.RestockRequest, out *inventoryv1.Stock) error {
	why := stock.Supplied
	if in.GetReason() == inventoryv1.RestockReason_RESTOCK_REASON_RETURN {
		why = stock.Returned
	}
	st, err := h.service.Restock(ctx, why, in.GetReferenceId(), stock.Line{SKU: in.GetSku(), Quantity: in.GetQuantity()})
	if err != nil {
		return err
	}
	putStock(out, st)
	return nil
}

// ListStockLedger implements inventoryv1.InventoryHandler.
func (h *Handler) ListStockLedger(ctx context.Context, in *inventoryv1.ListStockLedgerRequest, out *inventoryv1.ListStockLedgerResponse) error {
	page, next, err := h.service.Ledger(ctx, in.GetSku(), int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Entries = make([]*inventoryv1.LedgerEntry, len(page))
	for i, e := range page {
		out.Entries[i] = &inventoryv1.LedgerEntry{
			Sku: e.SKU, Delta: e.Delta, Kind: kind(e.Kind), ReferenceId: e.Reference, OnHand: e.OnHand, At: timestamppb.New(e.At),
		}
	}
	return nil
}

// Reserve implements inventoryv1.InventoryHandler.
func (h *Handler) Reserve(ctx context.Context, in *inventoryv1.ReserveRequest, out *inventoryv1.Reservation) error {
	r, err := h.service.Reserve(ctx, id(in.GetReservationId()), lines(in.GetLines()), in.GetTtl().AsDuration())
	return putReservation(out, r, err)
}

// Commit implements inventoryv1.InventoryHandler.
func (h *Handler) Commit(ctx context.Context, in *inventoryv1.CommitRequest, out *inventoryv1.Reservation) error {
	r, err := h.service.Commit(ctx, id(in.GetReservationId()))
	return putReservation(out, r, err)
}

// Release implements inventoryv1.InventoryHandler.
func (h *Handler) Release(ctx context.Context, in *inventoryv1.ReleaseRequest, out *inventoryv1.Reservation) error {
	r, err := h.service.Release(ctx, id(in.GetReservationId()))
	return putReservation(out, r, err)
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }

// message is what a person may be told about err.
func message(err error) string { return problem.From(err).Message }
