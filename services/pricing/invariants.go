package pricing

import "github.com/cleavehq/cleave/chassis/verify"

// Invariants are the laws of the module's data.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "coupons_within_limit",
			Law:  "a coupon is used and reserved as often as its limit allows at most",
			SQL: `SELECT code, usage_limit, used, reserved FROM coupon
				WHERE used < 0 OR reserved < 0 OR usage_limit > 0 AND used + reserved > usage_limit ORDER BY code`,
		},
		{
			Name: "coupons_say_redemptions",
			Law:  "a coupon counts the orders that redeemed it, and those that may yet",
			SQL: `SELECT c.code, c.used, c.reserved, COALESCE(r.used, 0) AS committed, COALESCE(r.reserved, 0) AS redeemed
				FROM coupon c LEFT JOIN (
					SELECT coupon,
						SUM(CASE state WHEN 'committed' THEN 1 ELSE 0 END) AS used,
						SUM(CASE state WHEN 'reserved' THEN 1 ELSE 0 END) AS reserved
					FROM redemption GROUP BY coupon
				) r ON r.coupon = c.code
				WHERE c.used <> COALESCE(r.used, 0) OR c.reserved <> COALESCE(r.reserved, 0) ORDER BY c.code`,
		},
		{
			Name: "quotes_add_up",
			Law:  "a quote is the sum of its lines",
			SQL: `SELECT q.id, q.subtotal, q.discount, q.tax, q.total, l.total AS lines_total
				FROM quote q LEFT JOIN (
					SELECT quote_id, SUM(subtotal) AS subtotal, SUM(discount) AS discount, SUM(tax) AS tax, SUM(total) AS total
					FROM quote_line GROUP BY quote_id
				) l ON l.quote_id = q.id
				WHERE l.quote_id IS NULL OR q.subtotal <> l.subtotal OR q.discount <> l.discount OR q.tax <> l.tax OR q.total <> l.total ORDER BY q.id`,
		},
		{
			Name: "quote_lines_add_up",
			Law:  "a line of a quote is unit x quantity - discount, and the tax unless it is in the price",
			SQL: `SELECT l.quote_id, l.sku, l.unit, l.quantity, l.subtotal, l.discount, l.tax, l.total
				FROM quote_line l JOIN quote q ON q.id = l.quote_id
				WHERE l.subtotal <> l.unit * l.quantity OR l.discount < 0 OR l.discount > l.subtotal OR l.tax < 0
				OR l.total <> l.subtotal - l.discount + CASE q.tax_inclusive WHEN 1 THEN 0 ELSE l.tax END ORDER BY l.quote_id, l.position`,
		},
	}
}
