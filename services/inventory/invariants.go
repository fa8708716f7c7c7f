package inventory

import "github.com/cleavehq/cleave/chassis/verify"

// Invariants are the laws of the module's data.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "stock_in_bounds",
			Law:  "0 <= reserved <= on_hand for every SKU",
			SQL:  "SELECT sku, on_hand, reserved FROM stock WHERE reserved < 0 OR reserved > on_hand ORDER BY sku",
		},
		{
			Name: "reserved_says_the_reservations",
			Law:  "what is reserved of a SKU is what its reservations hold",
			SQL: `SELECT s.sku, s.reserved, COALESCE(r.held, 0) AS held
				FROM stock s LEFT JOIN (
					SELECT l.sku, SUM(l.quantity) AS held FROM reservation r JOIN reservation_line l ON l.reservation_id = r.id
					WHERE r.state = 'reserved' GROUP BY l.sku
				) r ON r.sku = s.sku
				WHERE s.reserved <> COALESCE(r.held, 0) ORDER BY s.sku`,
		},
		{
			Name: "ledger_sums",
			Law:  "the ledger of a SKU sums to its on_hand",
			SQL: `SELECT s.sku, s.on_hand, COALESCE(l.sum, 0) AS ledger
				FROM stock s LEFT JOIN (SELECT sku, SUM(delta) AS sum FROM stock_ledger GROUP BY sku) l ON l.sku = s.sku
				WHERE s.on_hand <> COALESCE(l.sum, 0) ORDER BY s.sku`,
		},
		{
			Name: "ledger_runs",
			Law:  "each entry of the ledger says what was on hand after it",
			SQL: `SELECT sku, at, on_hand, sum FROM (
					SELECT sku, at, on_hand, SUM(delta) OVER (PARTITION BY sku ORDER BY at) AS sum FROM stock_ledger
				) l WHERE on_hand <> sum ORDER BY sku, at`,
		},
		{
			// What was committed before there was a ledger is in its opening entry.
			Name: "sales_say_the_reservations",
			Law:  "what was sold is what committed reservations had, once each",
			SQL: `SELECT COALESCE(c.id, l.reference) AS reservation, COALESCE(c.sku, l.sku) AS sku, c.quantity, l.delta FROM (
					SELECT r.id, r.updated_at, i.sku, i.quantity FROM reservation r JOIN reservation_line i ON i.reservation_id = r.id WHERE r.state = 'committed'
				) c FULL JOIN (SELECT reference, sku, delta FROM stock_ledger WHERE kind = 'sale') l ON l.reference = c.id AND l.sku = c.sku
				WHERE (c.id IS NULL OR l.reference IS NULL OR c.quantity <> -l.delta)
				AND NOT EXISTS (SELECT 1 FROM stock_ledger o WHERE o.sku = c.sku AND o.reference = 'opening' AND o.at >= c.updated_at)
				ORDER BY 1, 2`,
		},
		{
			Name: "reservations_end",
			Law:  "what is reserved longer than it may be is let go within half a minute",
			SQL:  "SELECT id, expires_at FROM reservation WHERE state = 'reserved' AND expires_at > 0 AND expires_at + 30000000 < $1 ORDER BY expires_at, id",
		},
	}
}
