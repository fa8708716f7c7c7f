package laws

import (
	"context"
	"database/sql"

	"github.com/cleavehq/cleave/chassis/verify"
)

// money is what the payment module, or a provider, says of an order.
type money struct {
	state              string
	captured, refunded int64
}

func scanMoney(rows *sql.Rows) (id string, m money, err error) {
	err = rows.Scan(&id, &m.state, &m.captured, &m.refunded)
	return id, m, err
}

// ordersHaveTheirMoney: one payment, captured as a whole for a paid order, and nothing kept of a cancelled one.
func ordersHaveTheirMoney() verify.Across {
	return verify.Across{
		Name: "orders_have_their_money", Modules: []string{orders, payments},
		Law: "a paid order's money is captured, what went back of it went back, and a cancelled order has no money",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			return each(ctx, v[orders], orderQuery, scanOrder, func(page []row[sale]) error {
				found, err := find(ctx, v[payments], "SELECT order_id, state, captured, refunded FROM payment WHERE order_id IN (%s)", page, scanMoney)
				if err != nil {
					return err
				}
				for _, o := range page {
					var m money
					for _, p := range found[o.id] {
						m.state, m.captured, m.refunded = p.state, m.captured+p.captured, m.refunded+p.refunded
					}
					held := m.state == "authorized" || m.state == "pending"
					if (o.v.paid() || o.v.state == cancelled) && (held || m.captured != o.v.captured || m.refunded != o.v.refunded) ||
						o.v.paid() && m.captured != o.v.total {
						report("order=%s state=%s total=%d captured=%d refunded=%d payment_state=%s payment_captured=%d payment_refunded=%d",
							o.id, o.v.state, o.v.total, o.v.captured, o.v.refunded, m.state, m.captured, m.refunded)
					}
				}
				return nil
			})
		},
	}
}

// paymentsAreForOrders: nobody was charged for an order that isn't there.
func paymentsAreForOrders() verify.Across {
	return verify.Across{
		Name: "payments_are_for_orders", Modules: []string{orders, payments},
		Law: "a payment is for an order",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			return belong(ctx, v[payments], `SELECT order_id FROM payment WHERE state IN ('pending', 'authorized', 'captured') AND order_id > $1
				ORDER BY order_id LIMIT $2`, v[orders], "payment of", report)
		},
	}
}

// chargesAreForOrders: the bank's books and the shop's agree.
func chargesAreForOrders() verify.Across {
	return verify.Across{
		Name: "charges_are_for_orders", Modules: []string{orders, bank},
		Law: "the provider has of every order what the order says was captured, and holds nothing more",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			// A charge that was let go, or went back as a whole, need be for no order: see payment's search for strays.
			if err := belong(ctx, v[bank], `SELECT order_id FROM move WHERE order_id > $1 GROUP BY order_id
				HAVING SUM(CASE kind WHEN 'capture' THEN minor WHEN 'refund' THEN -minor ELSE 0 END) <> 0
				OR SUM(CASE kind WHEN 'hold' THEN minor WHEN 'refund' THEN 0 ELSE -minor END) <> 0 ORDER BY order_id LIMIT $2`,
				v[orders], "charge of", report); err != nil {
				return err
			}
			return each(ctx, v[orders], orderQuery, scanOrder, func(page []row[sale]) error {
				found, err := find(ctx, v[bank], `SELECT order_id, '', SUM(CASE kind WHEN 'capture' THEN minor WHEN 'refund' THEN -minor ELSE 0 END),
					SUM(CASE kind WHEN 'hold' THEN minor WHEN 'refund' THEN 0 ELSE -minor END)
					FROM move WHERE order_id IN (%s) GROUP BY order_id`, page, scanMoney)
				if err != nil {
					return err
				}
				for _, o := range page {
					var m money // captured is what the bank took and kept, refunded what it holds still
					for _, b := range found[o.id] {
						m = b
					}
					if (o.v.paid() || o.v.state == cancelled) && (m.captured != o.v.captured-o.v.refunded || m.refunded != 0) {
						report("order=%s state=%s captured=%d refunded=%d provider_kept=%d provider_holds=%d",
							o.id, o.v.state, o.v.captured, o.v.refunded, m.captured, m.refunded)
					}
				}
				return nil
			})
		},
	}
}
