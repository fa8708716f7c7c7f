package order

import "github.com/cleavehq/cleave/chassis/verify"

// undone finds orders that have a step before them: of the checkout, of a cancellation or of a refund.
const undone = `(o.state IN ('PENDING', 'RESERVED', 'AUTHORIZED', 'CONFIRMED') OR o.cancel_code <> 0 AND o.state <> 'CANCELLED'
	OR EXISTS (SELECT 1 FROM order_refunds r WHERE r.order_id = o.id AND r.state = 'ASKED'))`

// Invariants are the laws of the module's data. The last one holds when nothing is under way.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "one_order_per_request",
			Law:  "a request has one order at most, and a cart one that isn't cancelled",
			SQL: `SELECT request_id AS request_or_cart, COUNT(*) AS orders FROM orders WHERE request_id IS NOT NULL GROUP BY request_id HAVING COUNT(*) > 1
				UNION ALL
				SELECT cart_id, COUNT(*) FROM orders WHERE state <> 'CANCELLED' GROUP BY cart_id HAVING COUNT(*) > 1 ORDER BY 1`,
		},
		{
			Name: "orders_add_up",
			Law:  "an order is the sum of its lines, and its total is subtotal - discount, and the tax unless it is in the prices",
			SQL: `SELECT o.id, o.subtotal_minor, o.discount_minor, o.tax_minor, o.total_minor, l.total AS lines_total
				FROM orders o LEFT JOIN (
					SELECT order_id, SUM(unit_minor * quantity) AS subtotal, SUM(discount_minor) AS discount, SUM(tax_minor) AS tax, SUM(total_minor) AS total
					FROM order_lines GROUP BY order_id
				) l ON l.order_id = o.id
				WHERE l.order_id IS NULL OR o.subtotal_minor <> l.subtotal OR o.discount_minor <> l.discount OR o.tax_minor <> l.tax
				OR o.total_minor <> l.total OR o.total_minor NOT IN (o.subtotal_minor - o.discount_minor, o.subtotal_minor - o.discount_minor + o.tax_minor)
				ORDER BY o.id`,
		},
		{
			Name: "refunds_within_captured",
			Law:  "what was refunded and what is to be refunded is at most what was captured, and that is nothing or the total",
			SQL: `SELECT o.id, o.total_minor, o.captured_minor, o.refunded_minor, COALESCE(r.done, 0) AS done, COALESCE(r.asked, 0) AS asked
				FROM orders o LEFT JOIN (
					SELECT order_id, SUM(CASE state WHEN 'DONE' THEN amount_minor ELSE 0 END) AS done,
						SUM(CASE state WHEN 'ASKED' THEN amount_minor ELSE 0 END) AS asked
					FROM order_refunds GROUP BY order_id
				) r ON r.order_id = o.id
				WHERE o.captured_minor NOT IN (0, o.total_minor) OR o.refunded_minor <> COALESCE(r.done, 0)
				OR COALESCE(r.done, 0) + COALESCE(r.asked, 0) > o.captured_minor ORDER BY o.id`,
		},
		{
			Name: "history_says_state",
			Law:  "an order's history has no gap, and ends in its state",
			SQL: `SELECT o.id, o.state, o.sequence, h.entries, h.highest, e.to_state
				FROM orders o LEFT JOIN (SELECT order_id, COUNT(*) AS entries, MAX(sequence) AS highest FROM order_events GROUP BY order_id) h ON h.order_id = o.id
				LEFT JOIN order_events e ON e.order_id = o.id AND e.sequence = o.sequence
				WHERE h.entries IS NULL OR h.entries <> o.sequence OR h.highest <> o.sequence OR e.to_state IS NULL OR e.to_state <> o.state ORDER BY o.id`,
		},
		{
			Name: "history_is_a_chain",
			Law:  "an entry of an order's history starts in the state in which the one before has ended",
			SQL: `SELECT e.order_id, e.sequence, e.from_state, b.to_state AS before
				FROM order_events e JOIN order_events b ON b.order_id = e.order_id AND b.sequence = e.sequence - 1
				WHERE e.from_state <> b.to_state ORDER BY e.order_id, e.sequence`,
		},
		{
			Name: "parcels_within_lines",
			Law:  "no more pieces of a line are shipped, delivered or returned than were sold",
			SQL: `SELECT order_id, sku, quantity, shipped, delivered, returned FROM order_lines
				WHERE shipped < 0 OR shipped > quantity OR delivered < 0 OR delivered > quantity OR returned < 0 OR returned > quantity
				ORDER BY order_id, position`,
		},
		{
			Name: "cancelled_holds_nothing",
			Law:  "a cancelled order says why, has let its stock, coupon and cart go, and has paid back what it took",
			SQL: `SELECT id, captured_minor, refunded_minor, holds_stock, holds_coupon, holds_payment, cancel_code FROM orders
				WHERE state = 'CANCELLED' AND (refunded_minor <> captured_minor OR holds_stock <> 0 OR holds_coupon <> 0
				OR holds_payment <> 0 AND next_at = 0 OR live_cart_id IS NOT NULL OR cancel_code = 0) ORDER BY id`,
		},
		{
			Name: "nothing_is_forgotten",
			Law:  "an order that has a step before it has a time at which the worker looks at it",
			SQL:  `SELECT o.id, o.state, o.cancel_reason FROM orders o WHERE o.next_at = 0 AND ` + undone + ` ORDER BY o.id`,
		},
		{
			Name: "orders_are_finished",
			Law:  "no order waits for a step",
			SQL:  `SELECT o.id, o.state, o.cancel_reason, o.attempts, o.last_error FROM orders o WHERE ` + undone + ` ORDER BY o.id`,
		},
	}
}
