package rpc

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"buf.build/go/protovalidate"

	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
)

// BatchSetStock implements inventoryv1.InventoryHandler. The contract keeps the server from validating the rows, since one bad
// row must not turn the others away; so each is validated alone here.
func (h *Handler) BatchSetStock(ctx context.Context, in *inventoryv1.BatchSetStockRequest, out *inventoryv1.BatchSetStockResponse) error {
	rows := in.GetStock()
	counts := make([]stock.Count, 0, len(rows))
	places := make([]int, 0, len(rows)) // of each count in the request
	for i, row := range rows {
		if why := h.wrong(row); why != "" {
			out.Failures = append(out.Failures, failure(i, row, why))
			continue
		}
		counts = append(counts, stock.Count{SKU: row.GetSku(), OnHand: row.GetOnHand()})
		places = append(places, i)
	}
	result, err := h.service.SetMany(ctx, counts)
	if err != nil {
		return err
	}
	for _, f := range result.Failures {
		i := places[f.Index]
		out.Failures = append(out.Failures, failure(i, rows[i], message(f.Err)))
	}
	slices.SortFunc(out.Failures, func(a, b *inventoryv1.SetStockFailure) int { return cmp.Compare(a.GetIndex(), b.GetIndex()) })
	out.Changed, out.Unchanged = int32(result.Changed), int32(result.Unchanged) //nolint:gosec // at most stock.MaxBatch
	return nil
}

// wrong says what is wrong with a row, "" when nothing is.
func (h *Handler) wrong(row *inventoryv1.SetStockRequest) string {
	if row == nil {
		return "the row is empty"
	}
	err := h.validator.Validate(row)
	if err == nil {
		return ""
	}
	var bad *protovalidate.ValidationError
	if !errors.As(err, &bad) {
		return message(err)
	}
	var parts []string
	for _, v := range bad.Violations {
		parts = append(parts, protovalidate.FieldPathString(v.Proto.GetField())+": "+v.Proto.GetMessage())
	}
	return strings.Join(parts, "; ")
}

func failure(i int, row *inventoryv1.SetStockRequest, why string) *inventoryv1.SetStockFailure {
	return &inventoryv1.SetStockFailure{Index: int32(i), Sku: row.GetSku(), Reason: why} //nolint:gosec // at most stock.MaxBatch
}
