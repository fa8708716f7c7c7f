package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// these returns where each order is, and a list of ordinals and their arguments for an IN.
func these(orders []sale.Order) (at map[string]int, marks string, args []any) {
	at = make(map[string]int, len(orders))
	all := make([]string, len(orders))
	args = make([]any, len(orders))
	for i, o := range orders {
		at[o.ID], args[i], all[i] = i, o.ID, "$"+strconv.Itoa(i+1)
	}
	return at, strings.Join(all, ", "), args
}

func lines(ctx context.Context, q querier, orders []sale.Order) error {
	if len(orders) == 0 {
		return nil
	}
	at, marks, args := these(orders)
	rows, err := q.QueryContext(ctx, `
		SELECT order_id, sku, title, quantity, currency, unit_minor, discount_minor, tax_minor, total_minor, shipped, delivered, returned
		FROM order_lines WHERE order_id IN (`+marks+`) ORDER BY order_id, position`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var (
			id, currency string
			l            sale.Line
		)
		if err := rows.Scan(&id, &l.SKU, &l.Title, &l.Quantity, &currency, &l.Unit.Minor, &l.Discount.Minor, &l.Tax.Minor, &l.Total.Minor,
			&l.Shipped, &l.Delivered, &l.Returned); err != nil {
			return err
		}
		l.Unit.Currency, l.Discount.Currency, l.Tax.Currency, l.Total.Currency = currency, currency, currency, currency
		o := &orders[at[id]]
		o.Lines = append(o.Lines, l)
	}
	return rows.Err()
}

// refunds reads those of the orders that were paid: no other has any.
func refunds(ctx context.Context, q querier, orders []sale.Order) error {
	paid := make([]sale.Order, 0, len(orders))
	for _, o := range orders {
		if o.Captured.Minor > 0 {
			paid = append(paid, o)
		}
	}
	if len(paid) == 0 {
		return nil
	}
	at, _, _ := these(orders)
	_, marks, args := these(paid)
	rows, err := q.QueryContext(ctx, `
		SELECT order_id, id, state, amount_minor, reason, create_time FROM order_refunds WHERE order_id IN (`+marks+`) ORDER BY order_id, position`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var (
			id, state string
			r         sale.Refund
			created   int64
		)
		if err := rows.Scan(&id, &r.ID, &state, &r.Amount.Minor, &r.Reason, &created); err != nil {
			return err
		}
		o := &orders[at[id]]
		r.State, r.Created, r.Amount.Currency = sale.RefundState(state), moment(created), o.Total.Currency
		o.Refunds = append(o.Refunds, r)
	}
	return rows.Err()
}
