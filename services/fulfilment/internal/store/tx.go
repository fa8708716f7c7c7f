package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
)

// tx is a shipping.Tx in one SQL transaction.
type tx struct {
	*sql.Tx
	emit Emit
}

var _ shipping.Tx = tx{}

// Lock implements shipping.Tx. The write is the lock: who writes the row next waits, or finds that it has lost.
func (t tx) Lock(ctx context.Context, orderID string, at time.Time) (shipping.Fulfilment, bool, error) {
	ok, err := affected(t.ExecContext(ctx, "UPDATE fulfilment SET updated_at = $1 WHERE order_id = $2", at.UnixMicro(), orderID))
	if err != nil {
		return shipping.Fulfilment{}, false, fmt.Errorf("lock a fulfilment: %w", err)
	}
	if !ok {
		return shipping.Fulfilment{}, false, nil
	}
	found, err := heads(ctx, t.Tx, "WHERE order_id = $1", orderID)
	if err != nil {
		return shipping.Fulfilment{}, false, err
	}
	return found[0], true, nil
}

// Add implements shipping.Tx.
func (t tx) Add(ctx context.Context, f shipping.Fulfilment) error {
	a := f.Address
	added, err := affected(t.ExecContext(ctx, `INSERT INTO fulfilment
		(order_id, state, ship_name, ship_line1, ship_line2, ship_city, ship_postal_code, ship_country, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (order_id) DO NOTHING`,
		f.OrderID, string(f.State), a.Name, a.Line1, a.Line2, a.City, a.PostalCode, a.Country, f.Created.UnixMicro(), f.Updated.UnixMicro()))
	if err != nil {
		return fmt.Errorf("write a fulfilment: %w", err)
	}
	if !added {
		return nil
	}
	for i, l := range f.Lines {
		if _, err := t.ExecContext(ctx, "INSERT INTO fulfilment_line (order_id, sku, position, title, ordered) VALUES ($1, $2, $3, $4, $5)",
			f.OrderID, l.SKU, int64(i), l.Title, l.Ordered); err != nil {
			return fmt.Errorf("write the lines of a fulfilment: %w", err)
		}
	}
	return nil
}

// Move implements shipping.Tx.
func (t tx) Move(ctx context.Context, orderID string, state shipping.State, leftBeforeCancel bool) error {
	_, err := t.ExecContext(ctx, "UPDATE fulfilment SET state = $1, left_before_cancel = $2 WHERE order_id = $3",
		string(state), flag(leftBeforeCancel), orderID)
	if err != nil {
		return fmt.Errorf("move a fulfilment: %w", err)
	}
	return nil
}

// Bury implements shipping.Tx.
func (t tx) Bury(ctx context.Context, orderID string, at time.Time) error {
	_, err := t.ExecContext(ctx, "INSERT INTO buried_order (order_id, created_at) VALUES ($1, $2) ON CONFLICT (order_id) DO NOTHING",
		orderID, at.UnixMicro())
	if err != nil {
		return fmt.Errorf("bury an order: %w", err)
	}
	return nil
}

// Buried implements shipping.Tx.
func (t tx) Buried(ctx context.Context, orderID string) (bool, error) {
	var n int64
	if err := t.QueryRowContext(ctx, "SELECT COUNT(*) FROM buried_order WHERE order_id = $1", orderID).Scan(&n); err != nil {
		return false, fmt.Errorf("read buried orders: %w", err)
	}
	return n > 0, nil
}

// Change implements shipping.Tx. The condition is in the statement that changes the row: there is no moment between asking and taking.
func (t tx) Change(ctx context.Context, orderID string, c shipping.Count, sku string, n int64) (bool, error) {
	var query string
	switch c {
	case shipping.CountPacked:
		query = "SET packed = packed + $1 WHERE packed + $1 BETWEEN shipped AND ordered"
	case shipping.CountShipped:
		query = "SET shipped = shipped + $1 WHERE shipped + $1 BETWEEN delivered AND packed AND shipped + $1 >= announced"
	case shipping.CountDelivered:
		query = "SET delivered = delivered + $1 WHERE delivered + $1 BETWEEN 0 AND shipped"
	case shipping.CountReturning:
		query = "SET announced = announced + $1 WHERE announced + $1 BETWEEN returned AND shipped"
	case shipping.CountReturned:
		query = "SET returned = returned + $1 WHERE returned + $1 BETWEEN 0 AND announced"
	default:
		return false, fmt.Errorf("there is no count %d", c)
	}
	ok, err := affected(t.ExecContext(ctx, "UPDATE fulfilment_line "+query+" AND order_id = $2 AND sku = $3", n, orderID, sku))
	if err != nil {
		return false, fmt.Errorf("count pieces: %w", err)
	}
	return ok, nil
}

// Emit implements shipping.Tx.
func (t tx) Emit(ctx context.Context, e shipping.Event) error { return t.emit(ctx, t.Tx, e) }

// affected tells whether a statement changed a row.
func affected(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}
