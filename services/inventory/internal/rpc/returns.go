package rpc

import (
	"context"
	"database/sql"
	"fmt"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/problem"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
)

// ReturnReceived returns what the inventory does when goods are back and fit to be sold again: it puts all of them into the stock, under the
// return's id, in the transaction that ctx carries. What the stock refuses, a SKU that was never counted for one, is a dead letter at once:
// no redelivery makes it right.
func ReturnReceived(service *stock.Service) func(context.Context, *sql.Tx, *fulfilmentv1.ReturnReceived) error {
	return func(ctx context.Context, _ *sql.Tx, m *fulfilmentv1.ReturnReceived) error {
		back := m.GetGoodsReturn()
		if !back.GetRestock() {
			return nil
		}
		sums := map[string]int64{}
		for _, l := range back.GetLines() {
			sums[l.GetSku()] += l.GetQuantity()
		}
		var lines []stock.Line
		for sku, n := range sums {
			lines = append(lines, stock.Line{SKU: sku, Quantity: n})
		}
		err := service.Return(ctx, id(back.GetId()), lines)
		if err == nil {
			return nil
		}
		if p := problem.From(err); p.Code != codes.Internal && p.Code != codes.Unavailable {
			err = events.Permanent(err)
		}
		return fmt.Errorf("put back return %s of order %s: %w", back.GetId(), m.GetOrderId(), err)
	}
}
