package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cleavehq/cleave/services/inventory/internal/stock"
)

// Reservation implements stock.Tx.
func (t tx) Reservation(ctx context.Context, id string) (stock.Reservation, bool, error) {
	r := stock.Reservation{ID: id}
	var expires int64
	err := t.QueryRowContext(ctx, "SELECT state, expires_at FROM reservation WHERE id = $1", id).Scan(&r.State, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return stock.Reservation{}, false, nil
	}
	if err != nil {
		return stock.Reservation{}, false, fmt.Errorf("read a reservation: %w", err)
	}
	if expires > 0 {
		r.Expires = time.UnixMicro(expires).UTC()
	}
	if r.Lines, err = t.lines(ctx, id); err != nil {
		return stock.Reservation{}, false, fmt.Errorf("read the lines of a reservation: %w", err)
	}
	return r, true, nil
}

func (t tx) lines(ctx context.Context, id string) ([]stock.Line, error) {
	rows, err := t.QueryContext(ctx, "SELECT sku, quantity FROM reservation_line WHERE reservation_id = $1", id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []stock.Line
	for rows.Next() {
		var l stock.Line
		if err := rows.Scan(&l.SKU, &l.Quantity); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	// Sorted here and not by the database, whose order of text may be another than Go's.
	slices.SortFunc(out, func(a, b stock.Line) int { return strings.Compare(a.SKU, b.SKU) })
	return out, rows.Err()
}

// AddReservation implements stock.Tx.
func (t tx) AddReservation(ctx context.Context, r stock.Reservation, at time.Time) (bool, error) {
	var expires int64
	if !r.Expires.IsZero() {
		expires = r.Expires.UnixMicro()
	}
	added, err := affected(t.ExecContext(ctx, `INSERT INTO reservation (id, state, created_at, updated_at, expires_at)
		VALUES ($1, $2, $3, $3, $4) ON CONFLICT (id) DO NOTHING`, r.ID, string(r.State), at.UnixMicro(), expires))
	if err != nil {
		return false, fmt.Errorf("write a reservation: %w", err)
	}
	if !added || len(r.Lines) == 0 {
		return added, nil
	}
	args := make([]any, 0, 3*len(r.Lines))
	for _, l := range r.Lines {
		args = append(args, r.ID, l.SKU, l.Quantity)
	}
	_, err = t.ExecContext(ctx, "INSERT INTO reservation_line (reservation_id, sku, quantity) VALUES "+rows(len(r.Lines), 3), args...)
	if err != nil {
		return false, fmt.Errorf("write the lines of a reservation: %w", err)
	}
	return true, nil
}

// SetState implements stock.Tx.
func (t tx) SetState(ctx context.Context, id string, from, to stock.State, at time.Time) (bool, error) {
	moved, err := affected(t.ExecContext(ctx, "UPDATE reservation SET state = $1, updated_at = $2 WHERE id = $3 AND state = $4",
		string(to), at.UnixMicro(), id, string(from)))
	if err != nil {
		return false, fmt.Errorf("move a reservation: %w", err)
	}
	return moved, nil
}

// Expire implements stock.Tx. The condition is in the statement that changes the row.
func (t tx) Expire(ctx context.Context, id string, at time.Time) (bool, error) {
	moved, err := affected(t.ExecContext(ctx, "UPDATE reservation SET state = $1, updated_at = $2 WHERE id = $3 AND state = $4 AND expires_at <= $2",
		string(stock.Expired), at.UnixMicro(), id, string(stock.Reserved)))
	if err != nil {
		return false, fmt.Errorf("expire a reservation: %w", err)
	}
	if !moved {
		return false, nil
	}
	if err := t.events.ReservationExpired(ctx, t.Tx, id, at); err != nil {
		return false, fmt.Errorf("tell of a reservation's end: %w", err)
	}
	return true, nil
}

// ClaimAdjustment implements stock.Tx.
func (t tx) ClaimAdjustment(ctx context.Context, a stock.Adjustment, at time.Time) (stock.Adjustment, bool, error) {
	claimed, err := affected(t.ExecContext(ctx, `INSERT INTO adjustment (request_id, sku, delta, on_hand, reserved, changed_at, created_at)
		VALUES ($1, $2, $3, 0, 0, 0, $4) ON CONFLICT (request_id) DO NOTHING`, a.RequestID, a.SKU, a.Delta, at.UnixMicro()))
	if err != nil {
		return stock.Adjustment{}, false, fmt.Errorf("claim an adjustment: %w", err)
	}
	if claimed {
		return a, true, nil
	}
	var changedAt int64
	first := stock.Adjustment{RequestID: a.RequestID}
	err = t.QueryRowContext(ctx, "SELECT sku, delta, on_hand, reserved, changed_at FROM adjustment WHERE request_id = $1", a.RequestID).
		Scan(&first.SKU, &first.Delta, &first.Result.OnHand, &first.Result.Reserved, &changedAt)
	if err != nil {
		return stock.Adjustment{}, false, fmt.Errorf("read an adjustment: %w", err)
	}
	first.Result.SKU, first.Result.UpdateTime = first.SKU, time.UnixMicro(changedAt).UTC()
	return first, false, nil
}

// FinishAdjustment implements stock.Tx.
func (t tx) FinishAdjustment(ctx context.Context, a stock.Adjustment) error {
	_, err := t.ExecContext(ctx, "UPDATE adjustment SET on_hand = $1, reserved = $2, changed_at = $3 WHERE request_id = $4",
		a.Result.OnHand, a.Result.Reserved, a.Result.UpdateTime.UnixMicro(), a.RequestID)
	if err != nil {
		return fmt.Errorf("write an adjustment: %w", err)
	}
	return nil
}
