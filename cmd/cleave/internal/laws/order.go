package laws

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/cleavehq/cleave/chassis/verify"
)

// The modules' names.
const (
	orders   = "order"
	carts    = "cart"
	stocks   = "inventory"
	payments = "payment"
	prices   = "pricing"
	parcels  = "fulfilment"
	bank     = "test_provider"
)

// sale is what the order module says of one.
type sale struct {
	state, coupon, cart       string
	givenUp                   bool
	total, captured, refunded int64
}

const orderQuery = `SELECT id, state, cart_id, coupon_code, cancel_code, total_minor, captured_minor, refunded_minor FROM orders
	WHERE id > $1 ORDER BY id LIMIT $2`

func scanOrder(rows *sql.Rows) (id string, o sale, err error) {
	var code int64
	err = rows.Scan(&id, &o.state, &o.cart, &o.coupon, &code, &o.total, &o.captured, &o.refunded)
	o.givenUp = code != 0
	return id, o, err
}

// paid says that the shop took the money and owes the goods, or has sent them.
func (o sale) paid() bool {
	switch o.state {
	case "PENDING", "RESERVED", "AUTHORIZED", "CONFIRMED", cancelled:
		return false
	}
	return !o.givenUp
}

const cancelled = "CANCELLED"

// pieces are quantities by SKU.
type pieces map[string]int64

func scanPiece(rows *sql.Rows) (id string, p pieces, err error) {
	var sku string
	var n int64
	err = rows.Scan(&id, &sku, &n)
	return id, pieces{sku: n}, err
}

// together adds up the rows of one order.
func together(list []pieces) pieces {
	all := pieces{}
	for _, p := range list {
		for sku, n := range p {
			all[sku] += n
		}
	}
	return all
}

// String writes them in the order of the SKUs.
func (p pieces) String() string {
	s := ""
	for _, sku := range slices.Sorted(maps.Keys(p)) {
		s += fmt.Sprintf(" %dx%s", p[sku], sku)
	}
	if s == "" {
		return "nothing"
	}
	return s[1:]
}

const orderLines = "SELECT order_id, sku, quantity FROM order_lines WHERE order_id IN (%s)"

// ordersHaveTheirStock: what is paid for has left the stock, and what is cancelled holds nothing of it.
func ordersHaveTheirStock() verify.Across {
	return verify.Across{
		Name: "orders_have_their_stock", Modules: []string{orders, stocks},
		Law: "the goods of a paid order are sold to it, and a cancelled order has none",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			return each(ctx, v[orders], orderQuery, scanOrder, func(page []row[sale]) error {
				lines, err := find(ctx, v[orders], orderLines, page, scanPiece)
				if err != nil {
					return err
				}
				sold, err := find(ctx, v[stocks], `SELECT l.reservation_id, l.sku, l.quantity FROM reservation_line l
					JOIN reservation r ON r.id = l.reservation_id WHERE r.state = 'committed' AND l.reservation_id IN (%s)`, page, scanPiece)
				if err != nil {
					return err
				}
				held, err := find(ctx, v[stocks], "SELECT id FROM reservation WHERE state = 'reserved' AND id IN (%s)", page, only)
				if err != nil {
					return err
				}
				back, err := restocked(ctx, v[stocks], page)
				if err != nil {
					return err
				}
				for _, o := range page {
					want, has := together(lines[o.id]), together(sold[o.id])
					switch {
					case o.v.paid() && !maps.Equal(want, has):
						report("order=%s state=%s ordered=%s sold=%s", o.id, o.v.state, want, has)
					case o.v.state == cancelled && held[o.id] != nil:
						report("order=%s state=%s has a reservation", o.id, o.v.state)
					case o.v.state == cancelled && !maps.Equal(has, together(back[o.id])):
						report("order=%s state=%s sold=%s restocked=%s", o.id, o.v.state, has, together(back[o.id]))
					}
				}
				return nil
			})
		},
	}
}

// restocked finds what went back into the stock when orders were cancelled.
func restocked(ctx context.Context, tx *sql.Tx, page []row[sale]) (map[string][]pieces, error) {
	const prefix = "cancel:"
	keys := make([]row[sale], len(page))
	for i, o := range page {
		keys[i].id = prefix + o.id
	}
	found, err := find(ctx, tx, "SELECT reference, sku, delta FROM stock_ledger WHERE kind = 'return' AND reference IN (%s)", keys, scanPiece)
	out := make(map[string][]pieces, len(found))
	for reference, p := range found {
		out[reference[len(prefix):]] = p
	}
	return out, err
}

// stockIsForOrders: nothing was sold or is kept for an order that isn't there.
func stockIsForOrders() verify.Across {
	return verify.Across{
		Name: "stock_is_for_orders", Modules: []string{orders, stocks},
		Law: "what is reserved or sold is so for an order",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			return belong(ctx, v[stocks], `SELECT id FROM reservation WHERE state IN ('reserved', 'committed') AND id > $1 ORDER BY id LIMIT $2`,
				v[orders], "reservation", report)
		},
	}
}

// belong reports the ids of a query that are no orders.
func belong(ctx context.Context, tx *sql.Tx, query string, orders *sql.Tx, what string, report verify.Report) error {
	return each(ctx, tx, query, only, func(page []row[struct{}]) error {
		there, err := find(ctx, orders, "SELECT id FROM orders WHERE id IN (%s)", page, only)
		if err != nil {
			return err
		}
		for _, r := range page {
			if there[r.id] == nil {
				report("%s=%s has no order", what, r.id)
			}
		}
		return nil
	})
}
