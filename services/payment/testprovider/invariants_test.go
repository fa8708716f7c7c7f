package testprovider

import (
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
)

const goodMoves = `
INSERT INTO move (seq, kind, key, ref, order_id, currency, minor, at) VALUES
	(1, 'hold', 'p1', 'r1', 'o1', 'EUR', 100, 1), (2, 'capture', 'p1', 'r1', 'o1', 'EUR', 100, 2),
	(3, 'refund', 'p1', 'r1', 'o1', 'EUR', 30, 3), (4, 'refund', 'p1', 'r1', 'o1', 'EUR', 70, 3),
	(5, 'hold', 'p2', 'r2', 'o2', 'EUR', 50, 1), (6, 'void', 'p2', 'r2', 'o2', 'EUR', 50, 2)`

func TestInvariants(t *testing.T) {
	verifytest.Run(t, verifytest.Suite{
		Module: File, Migrations: files, Checks: Invariants(), Good: goodMoves,
		Break: map[string][]string{
			"one_charge_per_order": {
				"INSERT INTO move VALUES (7, 'hold', 'p3', 'r3', 'o1', 'EUR', 100, 4)", "UPDATE move SET kind = 'capture' WHERE seq = 1",
			},
			"refunds_within_charges": {"UPDATE move SET minor = 71 WHERE seq = 4", "UPDATE move SET kind = 'refund' WHERE seq = 6"},
		},
	})
}
