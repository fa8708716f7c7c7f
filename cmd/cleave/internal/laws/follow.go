package laws

import (
	"context"
	"database/sql"
	"maps"

	"github.com/cleavehq/cleave/chassis/verify"
)

func scanState(rows *sql.Rows) (id, state string, err error) {
	err = rows.Scan(&id, &state)
	return id, state, err
}

// cartsKnowTheirOrders: who bought a cart doesn't find it full.
func cartsKnowTheirOrders() verify.Across {
	return verify.Across{
		Name: "carts_know_their_orders", Modules: []string{orders, carts},
		Law: "the cart of a paid order is ordered",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			return each(ctx, v[orders], orderQuery, scanOrder, func(page []row[sale]) error {
				keys := make([]row[sale], len(page))
				for i, o := range page {
					keys[i].id = o.v.cart
				}
				found, err := find(ctx, v[carts], "SELECT id FROM carts WHERE state = 2 AND id IN (%s)", keys, only)
				if err != nil {
					return err
				}
				for _, o := range page {
					if o.v.paid() && found[o.v.cart] == nil {
						report("order=%s state=%s cart=%s isn't ordered", o.id, o.v.state, o.v.cart)
					}
				}
				return nil
			})
		},
	}
}

// couponsAreUsedByOrders: a use is final for a paid order and given back by a cancelled one.
func couponsAreUsedByOrders() verify.Across {
	return verify.Across{
		Name: "coupons_are_used_by_orders", Modules: []string{orders, prices},
		Law: "a coupon is used by the orders that it made cheaper, and is kept for no other",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			if err := belong(ctx, v[prices], `SELECT id FROM redemption WHERE state <> 'released' AND coupon <> '' AND id > $1 ORDER BY id LIMIT $2`,
				v[orders], "redemption", report); err != nil {
				return err
			}
			return each(ctx, v[orders], orderQuery, scanOrder, func(page []row[sale]) error {
				found, err := find(ctx, v[prices], "SELECT id, state FROM redemption WHERE coupon <> '' AND id IN (%s)", page, scanState)
				if err != nil {
					return err
				}
				for _, o := range page {
					state := ""
					for _, s := range found[o.id] {
						state = s
					}
					if state == "reserved" && (o.v.paid() || o.v.state == cancelled) || o.v.paid() && o.v.coupon != "" && state != "committed" {
						report("order=%s state=%s coupon=%s redemption=%s", o.id, o.v.state, o.v.coupon, state)
					}
				}
				return nil
			})
		},
	}
}

// ordersAreFulfilled: who paid is shipped to, and who cancelled isn't.
func ordersAreFulfilled() verify.Across {
	return verify.Across{
		Name: "orders_are_fulfilled", Modules: []string{orders, parcels},
		Law: "what was paid for is to be shipped as it was ordered, and what was cancelled is not",
		Find: func(ctx context.Context, v verify.View, report verify.Report) error {
			return each(ctx, v[orders], orderQuery, scanOrder, func(page []row[sale]) error {
				ordered, err := find(ctx, v[orders], orderLines, page, scanPiece)
				if err != nil {
					return err
				}
				lines, err := find(ctx, v[parcels], "SELECT order_id, sku, ordered FROM fulfilment_line WHERE order_id IN (%s)", page, scanPiece)
				if err != nil {
					return err
				}
				states, err := find(ctx, v[parcels], "SELECT order_id, state FROM fulfilment WHERE order_id IN (%s)", page, scanState)
				if err != nil {
					return err
				}
				for _, o := range page {
					state := ""
					for _, s := range states[o.id] {
						state = s
					}
					want, has := together(ordered[o.id]), together(lines[o.id])
					switch {
					case o.v.paid() && (state == "" || state == cancelled || !maps.Equal(want, has)):
						report("order=%s state=%s fulfilment=%s ordered=%s to_ship=%s", o.id, o.v.state, state, want, has)
					case o.v.state == cancelled && state != "" && state != cancelled:
						report("order=%s state=%s fulfilment=%s", o.id, o.v.state, state)
					}
				}
				return nil
			})
		},
	}
}
