package payment

import (
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
	"github.com/cleavehq/cleave/services/payment/internal/store"
)

// One payment was captured and partly refunded, one is held, one was let go, one was declined.
const goodPayments = `
INSERT INTO payment (id, order_id, state, currency, minor, provider_ref, authorized, captured, refunded, created_at, updated_at) VALUES
	('p1', 'o1', 'captured', 'EUR', 100, 'r1', 100, 100, 30, 1, 2), ('p2', 'o2', 'authorized', 'EUR', 50, 'r2', 50, 0, 0, 1, 2),
	('p3', 'o3', 'voided', 'EUR', 70, 'r3', 70, 0, 0, 1, 2), ('p4', 'o4', 'declined', 'EUR', 10, '', 0, 0, 0, 1, 2);
INSERT INTO ledger_entries (transaction_id, account, currency, debit, credit, payment_id, at) VALUES
	('p1:a', 'provider:held', 'EUR', 100, 0, 'p1', 1), ('p1:a', 'customer:promised', 'EUR', 0, 100, 'p1', 1),
	('p1:c', 'customer:promised', 'EUR', 100, 0, 'p1', 2), ('p1:c', 'provider:held', 'EUR', 0, 100, 'p1', 2),
	('p1:c', 'provider:balance', 'EUR', 100, 0, 'p1', 2), ('p1:c', 'revenue', 'EUR', 0, 100, 'p1', 2),
	('p1:r', 'refunds', 'EUR', 30, 0, 'p1', 3), ('p1:r', 'provider:balance', 'EUR', 0, 30, 'p1', 3),
	('p2:a', 'provider:held', 'EUR', 50, 0, 'p2', 1), ('p2:a', 'customer:promised', 'EUR', 0, 50, 'p2', 1),
	('p3:a', 'provider:held', 'EUR', 70, 0, 'p3', 1), ('p3:a', 'customer:promised', 'EUR', 0, 70, 'p3', 1),
	('p3:v', 'customer:promised', 'EUR', 70, 0, 'p3', 2), ('p3:v', 'provider:held', 'EUR', 0, 70, 'p3', 2);
INSERT INTO refund (id, payment_id, state, minor, reason, created_at, updated_at) VALUES
	('f1', 'p1', 'succeeded', 30, '', 1, 2), ('f2', 'p1', 'failed', 20, '', 1, 2)`

func TestInvariants(t *testing.T) {
	verifytest.Run(t, verifytest.Suite{
		Module: "payment", Migrations: store.Migrations(), Checks: Invariants(), Good: goodPayments,
		Break: map[string][]string{
			"one_payment_per_order": {"UPDATE payment SET order_id = 'o1' WHERE id = 'p2'"},
			"amounts_in_bounds": {
				"UPDATE payment SET refunded = 101 WHERE id = 'p1'", "UPDATE payment SET refunding = 71 WHERE id = 'p1'",
				"UPDATE payment SET captured = 101 WHERE id = 'p1'", "UPDATE payment SET authorized = 51 WHERE id = 'p2'",
				"UPDATE payment SET refunded = -1 WHERE id = 'p1'",
			},
			"state_says_the_amounts": {
				"UPDATE payment SET captured = 70 WHERE id = 'p3'", "UPDATE payment SET captured = 99 WHERE id = 'p1'",
				"UPDATE payment SET state = 'captured' WHERE id = 'p2'", "UPDATE payment SET authorized = 1 WHERE id = 'p2'",
			},
			"ledger_balances": {
				"UPDATE ledger_entries SET debit = 101 WHERE account = 'provider:held' AND transaction_id = 'p1:a'",
				"DELETE FROM ledger_entries WHERE account = 'revenue'",
				"UPDATE ledger_entries SET currency = 'USD' WHERE account = 'revenue'",
			},
			"ledger_says_the_amounts": {
				"DELETE FROM ledger_entries WHERE transaction_id = 'p1:c'", "DELETE FROM ledger_entries WHERE payment_id = 'p2'",
				"DELETE FROM ledger_entries WHERE transaction_id = 'p3:v'", "UPDATE payment SET refunded = 20 WHERE id = 'p1'",
			},
			"refunds_say_the_amounts": {
				"UPDATE refund SET state = 'succeeded'", "DELETE FROM refund", "UPDATE refund SET state = 'pending' WHERE id = 'f2'",
			},
			"provider_agrees":  {"INSERT INTO discrepancy VALUES ('p1', 'captured', 'EUR', 100, 200, 1)"},
			"no_stray_charges": {"INSERT INTO stray_charge VALUES ('test', 'r', 'k', 'o', 'EUR', 1, 'report', 1, 1, 0)"},
			"answers_came": {
				"UPDATE payment SET state = 'pending' WHERE id = 'p4'", "UPDATE payment SET asked = 'void' WHERE id = 'p2'",
				"UPDATE payment SET refunding = 1 WHERE id = 'p1'",
			},
		},
	})
}
