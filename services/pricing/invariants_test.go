package pricing

import (
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
	"github.com/cleavehq/cleave/services/pricing/internal/store"
)

// A coupon that was used once and is reserved once more, another that nobody has used, and two quotes.
const goodPrices = `
INSERT INTO coupon (code, basis_points, amount_currency, amount, minimum_currency, minimum, valid_from, valid_until, usage_limit, used, reserved,
	created_at, updated_at, revision) VALUES ('TEN', 1000, '', 0, '', 0, 0, 9, 2, 1, 1, 1, 1, 1), ('NEW', 1000, '', 0, '', 0, 0, 9, 0, 0, 0, 1, 1, 1);
INSERT INTO quote (id, currency, country, coupon, tax_basis_points, tax_inclusive, subtotal, discount, tax, total, created_at, expires_at,
	request_id, asked) VALUES ('q1', 'EUR', 'DE', 'TEN', 1900, 1, 200, 20, 29, 180, 1, 2, '', ''), ('q2', 'EUR', 'US', '', 1000, 0, 100, 0, 10, 110, 1, 2, '', '');
INSERT INTO quote_line (quote_id, position, sku, title, quantity, unit, subtotal, discount, tax, total) VALUES
	('q1', 1, 'A', 'A', 1, 100, 100, 10, 14, 90), ('q1', 2, 'B', 'B', 2, 50, 100, 10, 15, 90), ('q2', 1, 'A', 'A', 1, 100, 100, 0, 10, 110);
INSERT INTO redemption (id, state, quote_id, coupon, created_at, updated_at) VALUES
	('o1', 'committed', 'q1', 'TEN', 1, 1), ('o2', 'reserved', 'q1', 'TEN', 1, 1), ('o3', 'released', 'q1', 'TEN', 1, 1), ('o4', 'committed', 'q2', '', 1, 1)`

func TestInvariants(t *testing.T) {
	verifytest.Run(t, verifytest.Suite{
		Module: "pricing", Migrations: store.Migrations(), Checks: Invariants(), Good: goodPrices,
		Break: map[string][]string{
			"coupons_within_limit": {"UPDATE coupon SET used = 2 WHERE code = 'TEN'", "UPDATE coupon SET reserved = -1 WHERE code = 'NEW'"},
			"coupons_say_redemptions": {
				"UPDATE redemption SET state = 'committed' WHERE id = 'o2'", "DELETE FROM redemption WHERE id = 'o1'",
				"UPDATE coupon SET used = 1 WHERE code = 'NEW'",
			},
			"quotes_add_up": {
				"UPDATE quote SET total = 181 WHERE id = 'q1'", "DELETE FROM quote_line WHERE quote_id = 'q2'", "UPDATE quote SET tax = 0 WHERE id = 'q2'",
			},
			"quote_lines_add_up": {
				"UPDATE quote_line SET total = 200 WHERE quote_id = 'q2'", "UPDATE quote_line SET quantity = 2 WHERE quote_id = 'q2'",
				"UPDATE quote SET tax_inclusive = 0 WHERE id = 'q1'", "UPDATE quote_line SET discount = 101, total = -1 WHERE quote_id = 'q2'",
			},
		},
	})
}
