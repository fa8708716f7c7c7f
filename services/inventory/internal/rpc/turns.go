package rpc

import (
	"context"

	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/turn"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
)

// InTurn lets commands that change the same SKUs wait for each other before they begin. It goes outside of whatever begins a transaction. A
// batch waits for nobody: it may change a thousand.
func (h *Handler) InTurn(turns *turn.Turns) server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) error {
			skus, err := h.skus(ctx, req.Body())
			if err != nil {
				return err
			}
			done, err := turns.Take(ctx, skus...)
			if err != nil {
				return err
			}
			defer done()
			return next(ctx, req, rsp)
		}
	}
}

// skus are those that a command changes.
func (h *Handler) skus(ctx context.Context, body any) ([]string, error) {
	switch in := body.(type) {
	case *inventoryv1.SetStockRequest:
		return []string{in.GetSku()}, nil
	case *inventoryv1.AdjustStockRequest:
		return []string{in.GetSku()}, nil
	case *inventoryv1.RestockRequest:
		return []string{in.GetSku()}, nil
	case *inventoryv1.ReserveRequest:
		var skus []string
		for _, l := range in.GetLines() {
			skus = append(skus, l.GetSku())
		}
		return skus, nil
	case *inventoryv1.CommitRequest:
		return h.service.Holds(ctx, id(in.GetReservationId()))
	case *inventoryv1.ReleaseRequest:
		return h.service.Holds(ctx, id(in.GetReservationId()))
	default:
		return nil, nil
	}
}
