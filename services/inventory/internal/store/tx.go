package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/services/inventory/internal/stock"
)

// tx is a stock.Tx in one SQL transaction.
type tx struct {
	*sql.Tx
	events Events
}

var _ stock.Tx = tx{}

// Stocks implements stock.Tx.
func (t tx) Stocks(ctx context.Context, skus []string) (map[string]stock.Stock, error) {
	found := make(map[string]stock.Stock, len(skus))
	if len(skus) == 0 {
		return found, nil
	}
	args := make([]any, len(skus))
	for i, sku := range skus {
		args[i] = sku
	}
	list, err := all(t.QueryContext(ctx, "SELECT "+columns+" FROM stock WHERE sku IN "+rows(1, len(skus)), args...))
	if err != nil {
		return nil, err
	}
	for _, st := range list {
		found[st.SKU] = st
	}
	return found, nil
}

// Put implements stock.Tx.
func (t tx) Put(ctx context.Context, stocks []stock.Stock) error {
	if len(stocks) == 0 {
		return nil
	}
	args := make([]any, 0, 3*len(stocks))
	for _, st := range stocks {
		args = append(args, st.SKU, st.OnHand, st.UpdateTime.UnixMicro())
	}
	_, err := t.ExecContext(ctx, "INSERT INTO stock (sku, on_hand, updated_at) VALUES "+rows(len(stocks), 3)+
		" ON CONFLICT (sku) DO UPDATE SET on_hand = excluded.on_hand, updated_at = excluded.updated_at", args...)
	if err != nil {
		return fmt.Errorf("write stock: %w", err)
	}
	return nil
}

// later is the update time after a change: at, or just after the last one when that is not earlier. It is stock.After in SQL.
const later = "CASE WHEN updated_at >= $2 THEN updated_at + 1 ELSE $2 END"

// Hold implements stock.Tx. The condition is in the statement that changes the row: there is no moment between asking and taking.
func (t tx) Hold(ctx context.Context, sku string, n int64, at time.Time) (stock.Stock, bool, error) {
	return one(t.QueryRowContext(ctx, `UPDATE stock SET reserved = reserved + $1, updated_at = `+later+`
		WHERE sku = $3 AND on_hand - reserved >= $1 RETURNING `+columns, n, at.UnixMicro(), sku))
}

// Sell implements stock.Tx.
func (t tx) Sell(ctx context.Context, sku string, n int64, at time.Time) (stock.Stock, bool, error) {
	return one(t.QueryRowContext(ctx, `UPDATE stock SET on_hand = on_hand - $1, reserved = reserved - $1, updated_at = `+later+`
		WHERE sku = $3 AND reserved >= $1 RETURNING `+columns, n, at.UnixMicro(), sku))
}

// Free implements stock.Tx.
func (t tx) Free(ctx context.Context, sku string, n int64, at time.Time) (stock.Stock, bool, error) {
	return one(t.QueryRowContext(ctx, `UPDATE stock SET reserved = reserved - $1, updated_at = `+later+`
		WHERE sku = $3 AND reserved >= $1 RETURNING `+columns, n, at.UnixMicro(), sku))
}

// Tell implements stock.Tx.
func (t tx) Tell(ctx context.Context, stocks []stock.Stock) error {
	for _, st := range stocks {
		if err := t.events.StockChanged(ctx, t.Tx, st); err != nil {
			return fmt.Errorf("tell of a change: %w", err)
		}
	}
	return nil
}

// rows writes the placeholders of n rows of width columns: ($1, $2), ($3, $4).
func rows(n, width int) string { return places(1, n, width) }

// places does the same from $first on.
func places(first, n, width int) string {
	var b strings.Builder
	for i := range n * width {
		switch {
		case i == 0:
			b.WriteString("($")
		case i%width == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(first + i))
	}
	b.WriteString(")")
	return b.String()
}

// affected tells whether a statement changed a row.
func affected(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}
