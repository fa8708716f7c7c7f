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

// use is what the pricing module says of an order's use of a coupon.
type use struct{ state, coupon string }

func scanUse(rows *sql.Rows) (id string, u use, err error) {
	err = rows.Scan(&id, &u.state, &u.coupon)
	return id, u, err
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

// couponsAreUsedByOrders: a use is final for a paid order that holds one, and given back by a cancelled one, whenever it was called off. With
// pricing's own laws, that a coupon counts its redemptions and stays within its limit, a coupon's uses are the orders that hold one.
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
				found, err := find(ctx, v[prices], "SELECT id, state, coupon FROM redemption WHERE coupon <> '' AND id IN (%s)", page, scanUse)
				if err != nil {
					return err
				}
				for _, o := range page {
					var is use
					for _, u := range found[o.id] {
						is = u
					}
					held := is.state != "" && is.state != "released"
					want := use{state: "committed", coupon: o.v.coupon}
					if o.v.state == cancelled && held || o.v.paid() && o.v.coupon != "" && is != want || o.v.paid() && o.v.coupon == "" && held {
						report("order=%s state=%s coupon=%s redemption=%s of=%s", o.id, o.v.state, o.v.coupon, is.state, is.coupon)
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
