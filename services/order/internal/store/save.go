package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Save implements saga.Store.
func (s *Store) Save(ctx context.Context, o *sale.Order) error {
	err := data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		if err := s.guard(ctx, tx); err != nil {
			return err
		}
		return s.save(ctx, tx, o)
	})
	if err == nil {
		o.Kept(o.Version + 1)
	}
	return err
}

func (s *Store) save(ctx context.Context, tx *sql.Tx, o *sale.Order) error {
	cart := sql.NullString{String: o.CartID, Valid: o.State != sale.Cancelled}
	a := o.Address
	r, err := tx.ExecContext(ctx, `
		UPDATE orders SET fingerprint = $1, live_cart_id = $2, state = $3, cancel_code = $4, cancel_reason = $5, cancel_message = $6,
			promised = $7, payment_id = $8, captured_minor = $9, refunded_minor = $10, email = $11, ship_name = $12, ship_line1 = $13,
			ship_line2 = $14, ship_city = $15, ship_postal_code = $16, ship_country = $17, holds_stock = $18, holds_coupon = $19,
			holds_payment = $20, epoch = $21, claim_until = $22, next_at = $23, attempts = $24, last_error = $25, sequence = $26,
			version = version + 1, update_time = $27
		WHERE id = $28 AND version = $29`,
		o.Fingerprint, cart, string(o.State), int64(o.Why.Code), o.Why.Reason, o.Why.Message, bit(o.Promised), o.PaymentID,
		o.Captured.Minor, o.Refunded.Minor, o.Email, a.Name, a.Line1, a.Line2, a.City, a.PostalCode, a.Country,
		bit(o.Holds.Stock), bit(o.Holds.Coupon), bit(o.Holds.Payment), o.Epoch, micros(o.Until), micros(o.Next), o.Attempts, o.LastError,
		o.Sequence, micros(o.Updated), o.ID, o.Version)
	if err != nil {
		return fmt.Errorf("update order: %w", err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return fmt.Errorf("update order: %w", err)
	}
	if n == 0 {
		return problem.Aborted(sale.ReasonOrderStateChanged, "order %s changed meanwhile", o.ID)
	}
	if err := parts(ctx, tx, o); err != nil {
		return err
	}
	return s.entries(ctx, tx, *o)
}

// parts writes the lines and the refunds, if they changed.
func parts(ctx context.Context, tx *sql.Tx, o *sale.Order) error {
	if o.LinesChanged() {
		for i, l := range o.Lines {
			_, err := tx.ExecContext(ctx, `UPDATE order_lines SET shipped = $1, delivered = $2, returned = $3 WHERE order_id = $4 AND position = $5`,
				l.Shipped, l.Delivered, l.Returned, o.ID, int64(i))
			if err != nil {
				return fmt.Errorf("update order line: %w", err)
			}
		}
	}
	if o.RefundsChanged() {
		for i, r := range o.Refunds {
			_, err := tx.ExecContext(ctx, `
				INSERT INTO order_refunds (id, order_id, position, state, amount_minor, reason, create_time) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (id) DO UPDATE SET state = excluded.state`,
				r.ID, o.ID, int64(i), string(r.State), r.Amount.Minor, r.Reason, micros(r.Created))
			if err != nil {
				return fmt.Errorf("write refund: %w", err)
			}
		}
	}
	return nil
}

// Change reads an order, has it changed and writes it, all in tx. ORDER_NOT_FOUND, or change's error.
func (s *Store) Change(ctx context.Context, tx *sql.Tx, id string, change func(*sale.Order) error) error {
	o, err := one(ctx, tx, `WHERE id = $1`, id)
	if err != nil {
		return err
	}
	if err := change(&o); err != nil {
		return err
	}
	return s.save(ctx, tx, &o)
}

// Erase takes a customer out of all orders, in tx.
func (s *Store) Erase(ctx context.Context, tx *sql.Tx, customerID string, at time.Time) error {
	if customerID == "" {
		return nil // guests are nobody's
	}
	orders, err := many(ctx, tx, `WHERE customer_id = $1 ORDER BY id`, customerID)
	if err != nil {
		return err
	}
	for i := range orders {
		orders[i].Erase(at)
		if err := s.save(ctx, tx, &orders[i]); err != nil {
			return err
		}
	}
	return nil
}
