package webhook_test

import (
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
	"github.com/cleavehq/cleave/services/webhook"
	"github.com/cleavehq/cleave/services/webhook/internal/store"
)

// An endpoint with an old secret beside the current one, and one that is gone.
const goodEndpoints = `
INSERT INTO endpoint (id, url, types, description, disabled, why, created_at, updated_at) VALUES ('e1', '', '', '', 0, '', 1, 1), ('e2', '', '', '', 1, 'GONE', 1, 1);
INSERT INTO endpoint_secret (endpoint_id, secret, created_at, until_at) VALUES ('e1', 'a', 1, 0), ('e1', 'b', 1, 9000000000000000), ('e1', 'c', 1, 5), ('e2', 'a', 1, 0);
INSERT INTO message (id, type, body, created_at) VALUES ('m1', 'order.paid', '{}', 1), ('m2', 'order.paid', '{}', 1);
INSERT INTO delivery (id, endpoint_id, message_id, state, attempts, created_at, updated_at, next_at) VALUES
	('d1', 'e1', 'm1', 'PENDING', 9, 1, 1, 1), ('d2', 'e1', 'm2', 'DEAD', 10, 1, 1, 0), ('d3', 'e2', 'm1', 'DEAD', 1, 1, 1, 0)`

func TestInvariants(t *testing.T) {
	verifytest.Run(t, verifytest.Suite{
		Module: webhook.Name, Migrations: store.Migrations(), Checks: webhook.Invariants(), Good: goodEndpoints,
		Break: map[string][]string{
			"endpoints_can_sign": {
				"UPDATE endpoint_secret SET until_at = 5", "UPDATE endpoint_secret SET until_at = 0",
				`INSERT INTO endpoint_secret (endpoint_id, secret, created_at, until_at) VALUES
					('e1', 'x', 1, 9000000000000000), ('e1', 'y', 1, 9000000000000000), ('e1', 'z', 1, 9000000000000000)`,
			},
			"deliveries_are_given_up": {
				"UPDATE delivery SET attempts = 11 WHERE id = 'd2'", "UPDATE delivery SET attempts = 10 WHERE id = 'd1'",
				"UPDATE delivery SET state = 'PENDING', next_at = 1 WHERE id = 'd3'",
			},
		},
	})
}
