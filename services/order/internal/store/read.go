package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Get implements saga.Store.
func (s *Store) Get(ctx context.Context, id string) (sale.Order, error) {
	return one(ctx, s.db, `WHERE id = $1`, id)
}

// ByRequest implements checkout.Store.
func (s *Store) ByRequest(ctx context.Context, requestID string) (sale.Order, error) {
	return one(ctx, s.db, `WHERE request_id = $1`, requestID)
}

// Due implements saga.Store.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	rows, err := s.db.QueryContext(ctx, `
		SELECT id FROM orders WHERE next_at > 0 AND next_at <= $1 AND claim_until <= $2 ORDER BY next_at LIMIT $3`,
		micros(now), micros(now), int64(limit))
	if err != nil {
		return nil, fmt.Errorf("look for orders to drive: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// History implements checkout.Store.
func (s *Store) History(ctx context.Context, id string) (history []sale.Entry, err error) {
	rows, err := s.db.QueryContext(ctx, `
		SELECT sequence, from_state, to_state, at, reason FROM order_events WHERE order_id = $1 ORDER BY sequence`, id)
	if err != nil {
		return nil, fmt.Errorf("read order events: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var (
			e        sale.Entry
			from, to string
			at       int64
		)
		if err := rows.Scan(&e.Sequence, &from, &to, &at, &e.Reason); err != nil {
			return nil, err
		}
		e.From, e.To, e.At = sale.State(from), sale.State(to), moment(at)
		history = append(history, e)
	}
	return history, rows.Err()
}

// Page implements checkout.Store.
func (s *Store) Page(ctx context.Context, after checkout.Cursor, limit int) ([]sale.Order, error) {
	var where []string
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if after.State != "" {
		where = append(where, "state = "+bind(string(after.State)))
	}
	if after.Customer != "" { // customer_id <> '' is the condition of the index
		where = append(where, "customer_id <> '' AND customer_id = "+bind(after.Customer))
	}
	if after.ID != "" {
		where = append(where, "(create_time, id) < ("+bind(after.Created.UnixMicro())+", "+bind(after.ID)+")")
	}
	end := " ORDER BY create_time DESC, id DESC LIMIT " + bind(int64(limit))
	if len(where) > 0 {
		end = "WHERE " + strings.Join(where, " AND ") + end
	}
	return many(ctx, s.db, end, args...)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func one(ctx context.Context, q querier, end string, args ...any) (sale.Order, error) {
	orders, err := many(ctx, q, end, args...)
	if err != nil {
		return sale.Order{}, err
	}
	if len(orders) == 0 {
		return sale.Order{}, problem.NotFound(sale.ReasonOrderNotFound, "there is no such order")
	}
	return orders[0], nil
}

// many reads orders, then their lines and refunds. Outside of a transaction these may be newer than the order: then its version is old, and what
// is made of it is refused.
func many(ctx context.Context, q querier, end string, args ...any) ([]sale.Order, error) {
	orders, err := heads(ctx, q, end, args...)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	if err := lines(ctx, q, orders); err != nil {
		return nil, fmt.Errorf("read order lines: %w", err)
	}
	if err := refunds(ctx, q, orders); err != nil {
		return nil, fmt.Errorf("read refunds: %w", err)
	}
	return orders, nil
}

func heads(ctx context.Context, q querier, end string, args ...any) (orders []sale.Order, err error) {
	rows, err := q.QueryContext(ctx, `
		SELECT id, request_id, fingerprint, cart_id, customer_id, state, cancel_code, cancel_reason, cancel_message, promised, payment_id, quote_id,
			coupon_code, currency, subtotal_minor, discount_minor, tax_minor, total_minor, captured_minor, refunded_minor, email, ship_name,
			ship_line1, ship_line2, ship_city, ship_postal_code, ship_country, holds_stock, holds_coupon, holds_payment, epoch, claim_until,
			next_at, attempts, last_error, sequence, version, create_time, update_time, trace
		FROM orders `+end, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		o, err := head(rows)
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, rows.Err()
}

func head(rows *sql.Rows) (o sale.Order, err error) {
	var (
		request                                            sql.NullString
		state, currency                                    string
		code, promised, stock, coupon, payment             int64
		until, next, created, updated                      int64
		subtotal, discount, tax, total, captured, refunded int64
	)
	a := &o.Address
	if err := rows.Scan(&o.ID, &request, &o.Fingerprint, &o.CartID, &o.CustomerID, &state, &code, &o.Why.Reason, &o.Why.Message, &promised,
		&o.PaymentID, &o.QuoteID, &o.Coupon, &currency, &subtotal, &discount, &tax, &total, &captured, &refunded, &o.Email, &a.Name, &a.Line1,
		&a.Line2, &a.City, &a.PostalCode, &a.Country, &stock, &coupon, &payment, &o.Epoch, &until, &next, &o.Attempts, &o.LastError, &o.Sequence,
		&o.Version, &created, &updated, &o.Trace); err != nil {
		return sale.Order{}, err
	}
	o.RequestID, o.State, o.Promised = request.String, sale.State(state), promised == 1
	o.Why.Code = codes.Code(code) //nolint:gosec // what was saved
	for to, minor := range map[*sale.Money]int64{
		&o.Subtotal: subtotal, &o.Discount: discount, &o.Tax: tax, &o.Total: total, &o.Captured: captured, &o.Refunded: refunded,
	} {
		*to = sale.Money{Currency: currency, Minor: minor}
	}
	o.Holds = sale.Holds{Stock: stock == 1, Coupon: coupon == 1, Payment: payment == 1}
	o.Until, o.Next, o.Created, o.Updated = moment(until), moment(next), moment(created), moment(updated)
	return o, nil
}
