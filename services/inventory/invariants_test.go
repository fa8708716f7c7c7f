package inventory

import (
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
	"github.com/cleavehq/cleave/services/inventory/internal/store"
)

// Of A ten were counted, two sold, and three are reserved; B has none; C's reservation ran out.
const goodStock = `
INSERT INTO stock (sku, on_hand, reserved, updated_at) VALUES ('A', 8, 3, 30), ('B', 0, 0, 1), ('C', 1, 0, 20);
INSERT INTO reservation (id, state, created_at, updated_at, expires_at) VALUES
	('r1', 'committed', 1, 30, 2), ('r2', 'reserved', 1, 1, 9000000000000000), ('r3', 'expired', 1, 2, 2), ('r4', 'released', 1, 1, 0);
INSERT INTO reservation_line (reservation_id, sku, quantity) VALUES ('r1', 'A', 2), ('r2', 'A', 3), ('r3', 'C', 1);
INSERT INTO stock_ledger (sku, at, delta, kind, reference, on_hand) VALUES
	('A', 10, 10, 'count', 'c1', 10), ('A', 30, -2, 'sale', 'r1', 8), ('C', 10, 2, 'supply', 'd1', 2), ('C', 20, -1, 'adjust', 'a1', 1)`

func TestInvariants(t *testing.T) {
	verifytest.Run(t, verifytest.Suite{
		Module: "inventory", Migrations: store.Migrations(), Checks: Invariants(), Good: goodStock,
		Break: map[string][]string{
			"stock_in_bounds": {"UPDATE stock SET reserved = 9 WHERE sku = 'A'", "UPDATE stock SET reserved = -1 WHERE sku = 'B'"},
			"reserved_says_the_reservations": {
				"UPDATE stock SET reserved = 4 WHERE sku = 'A'", "UPDATE reservation SET state = 'reserved' WHERE id = 'r3'",
				"DELETE FROM reservation WHERE id = 'r2'",
			},
			"ledger_sums": {"UPDATE stock SET on_hand = 7 WHERE sku = 'A'", "DELETE FROM stock_ledger WHERE sku = 'C'"},
			"ledger_runs": {
				"UPDATE stock_ledger SET on_hand = 9 WHERE reference = 'c1'",
				"UPDATE stock_ledger SET at = 25 WHERE reference = 'd1'",
			},
			"sales_say_the_reservations": {
				"UPDATE stock_ledger SET reference = 'r9' WHERE kind = 'sale'", "UPDATE stock_ledger SET delta = -1 WHERE kind = 'sale'",
				"UPDATE reservation SET state = 'committed' WHERE id = 'r2'", "UPDATE reservation SET state = 'released' WHERE id = 'r1'",
			},
			"reservations_end": {"UPDATE reservation SET expires_at = 1 WHERE id = 'r2'"},
		},
	})
}
