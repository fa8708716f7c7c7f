package testprovider

import "github.com/cleavehq/cleave/chassis/verify"

// File is the name of the database in Dir, as a module's is.
const File = "test_provider"

// Invariants are what a bank would notice: an order for which money was held or taken twice.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "one_charge_per_order",
			Law:  "money is held once, taken once and let go once at most for an order",
			SQL: `SELECT order_id, kind, COUNT(*) AS times FROM move WHERE kind <> 'refund' GROUP BY order_id, kind HAVING COUNT(*) > 1
				ORDER BY order_id, kind`,
		},
		{
			Name: "refunds_within_charges",
			Law:  "no more is given back than was taken",
			SQL: `SELECT ref, SUM(CASE kind WHEN 'capture' THEN minor ELSE 0 END) AS taken, SUM(CASE kind WHEN 'refund' THEN minor ELSE 0 END) AS given
				FROM move GROUP BY ref
				HAVING SUM(CASE kind WHEN 'refund' THEN minor ELSE 0 END) > SUM(CASE kind WHEN 'capture' THEN minor ELSE 0 END) ORDER BY ref`,
		},
	}
}
