package order_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
	"github.com/cleavehq/cleave/services/order"
)

// goodOrders has one that is paid and refunded in part, and one that was cancelled when it was paid.
func goodOrders() string {
	head := func(id, state string, code, refunded, holds, sequence int) string {
		live := "'cart-" + id + "'"
		if code != 0 {
			live = "NULL"
		}
		return fmt.Sprintf(`INSERT INTO orders (id, request_id, fingerprint, cart_id, live_cart_id, customer_id, state, cancel_code, cancel_reason,
			cancel_message, promised, payment_id, quote_id, coupon_code, currency, subtotal_minor, discount_minor, tax_minor, total_minor, captured_minor,
			refunded_minor, email, ship_name, ship_line1, ship_line2, ship_city, ship_postal_code, ship_country, holds_stock, holds_coupon, holds_payment,
			epoch, claim_until, next_at, attempts, last_error, sequence, version, create_time, update_time)
			VALUES ('%s', NULL, '', 'cart-%s', %s, '', '%s', %d, 'WHY', '', 1, 'p', 'q', '', 'USD', 21, 2, 1, 20, 20, %d, '', '', '', '', '', '', 'GB',
				%d, 0, %d, 1, 0, 0, 0, '', %d, 1, 1, 1)`, id, id, live, state, code, refunded, holds, holds, sequence)
	}
	out := []string{head("a", "PARTIALLY_REFUNDED", 0, 5, 1, 3), head("b", "CANCELLED", 9, 20, 0, 2)}
	for _, id := range []string{"a", "b"} {
		out = append(out, fmt.Sprintf(`INSERT INTO order_lines (order_id, position, sku, title, quantity, currency, unit_minor, discount_minor, tax_minor,
			total_minor, shipped, delivered, returned) VALUES ('%s', 0, 'A', 'A', 3, 'USD', 7, 2, 1, 20, 3, 2, 1)`, id))
	}
	return strings.Join(append(out, `INSERT INTO order_refunds (id, order_id, position, state, amount_minor, reason, create_time) VALUES
		('r1', 'a', 0, 'DONE', 5, '', 1), ('r2', 'a', 1, 'REFUSED', 20, '', 1), ('r3', 'b', 0, 'DONE', 20, 'CANCEL', 1)`,
		`INSERT INTO order_events (order_id, sequence, from_state, to_state, at, reason) VALUES ('a', 1, '', 'PENDING', 1, 'PLACED'),
		('a', 2, 'PENDING', 'PAID', 1, ''), ('a', 3, 'PAID', 'PARTIALLY_REFUNDED', 1, ''), ('b', 1, '', 'PAID', 1, ''), ('b', 2, 'PAID', 'CANCELLED', 1, '')`), ";\n")
}

func TestInvariants(t *testing.T) {
	m := order.Module()
	verifytest.Run(t, verifytest.Suite{
		Module: m.Name, Migrations: m.Migrations, Checks: m.Invariants, Good: goodOrders(),
		Break: map[string][]string{
			"one_order_per_request": {
				"UPDATE orders SET request_id = 'r'", "UPDATE orders SET cart_id = 'c', state = 'PAID'",
			},
			"orders_add_up": {
				"UPDATE orders SET total_minor = 21 WHERE id = 'a'", "DELETE FROM order_lines WHERE order_id = 'b'", "UPDATE order_lines SET tax_minor = 2",
			},
			"refunds_within_captured": {
				"UPDATE orders SET refunded_minor = 6 WHERE id = 'a'", "UPDATE orders SET captured_minor = 19 WHERE id = 'a'",
				"UPDATE order_refunds SET state = 'ASKED' WHERE id = 'r2'", "DELETE FROM order_refunds WHERE id = 'r1'",
			},
			"history_says_state": {
				"UPDATE orders SET state = 'PAID' WHERE id = 'a'", "DELETE FROM order_events WHERE order_id = 'a' AND sequence = 2",
				"DELETE FROM order_events WHERE order_id = 'b'", "UPDATE orders SET sequence = 4 WHERE id = 'a'",
			},
			"history_is_a_chain": {"UPDATE order_events SET from_state = 'PENDING' WHERE order_id = 'a' AND sequence = 3"},
			"parcels_within_lines": {
				"UPDATE order_lines SET shipped = 4", "UPDATE order_lines SET delivered = -1", "UPDATE order_lines SET returned = 4",
			},
			"cancelled_holds_nothing": {
				"UPDATE orders SET holds_stock = 1 WHERE id = 'b'", "UPDATE orders SET holds_payment = 1 WHERE id = 'b'",
				"UPDATE orders SET refunded_minor = 19 WHERE id = 'b'", "UPDATE orders SET live_cart_id = 'c' WHERE id = 'b'",
				"UPDATE orders SET cancel_code = 0 WHERE id = 'b'",
			},
			"nothing_is_forgotten": {
				"UPDATE orders SET state = 'CONFIRMED' WHERE id = 'a'", "UPDATE orders SET cancel_code = 9 WHERE id = 'a'",
				"UPDATE order_refunds SET state = 'ASKED' WHERE id = 'r2'",
			},
			"orders_are_finished": {"UPDATE orders SET state = 'PENDING', next_at = 1 WHERE id = 'a'"},
		},
	})
}
