// Package laws has the laws between the shop's modules, for `cleave verify`: what one module says of an order and what another has to say
// of it. Each is a query of one module's database a page at a time, and of another's for what belongs to the page.
package laws

import "github.com/cleavehq/cleave/chassis/verify"

// All returns every law. They hold when nothing is under way.
func All() []verify.Across {
	return []verify.Across{
		ordersHaveTheirStock(), stockIsForOrders(), ordersHaveTheirMoney(), paymentsAreForOrders(), chargesAreForOrders(),
		couponsAreUsedByOrders(), cartsKnowTheirOrders(), ordersAreFulfilled(),
	}
}
