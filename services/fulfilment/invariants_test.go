package fulfilment

import (
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
	"github.com/cleavehq/cleave/services/fulfilment/internal/store"
)

// One order had a parcel arrive and a piece come back, another is cancelled.
const goodParcels = `
INSERT INTO fulfilment (order_id, state, ship_name, ship_line1, ship_line2, ship_city, ship_postal_code, ship_country, created_at, updated_at) VALUES
	('o1', 'PARTIALLY_SHIPPED', '', '', '', '', '', '', 1, 1), ('o2', 'CANCELLED', '', '', '', '', '', '', 1, 1);
INSERT INTO fulfilment_line (order_id, sku, position, title, ordered, packed, shipped, delivered, announced, returned) VALUES
	('o1', 'A', 1, '', 4, 3, 2, 2, 2, 1), ('o1', 'B', 2, '', 1, 0, 0, 0, 0, 0), ('o2', 'A', 1, '', 1, 0, 0, 0, 0, 0);
INSERT INTO shipment (id, order_id, state, rest, created_at, shipped_at, delivered_at) VALUES
	('s1', 'o1', 'DELIVERED', 0, 1, 2, 3), ('s2', 'o1', 'PACKED', 0, 1, 0, 0), ('s3', 'o2', 'CANCELLED', 1, 1, 0, 0);
INSERT INTO shipment_line (shipment_id, sku, quantity) VALUES ('s1', 'A', 2), ('s2', 'A', 1), ('s3', 'A', 1);
INSERT INTO goods_return (id, order_id, state, reason, created_at, received_at) VALUES ('r1', 'o1', 'RECEIVED', '', 4, 5), ('r2', 'o1', 'ANNOUNCED', '', 4, 0);
INSERT INTO goods_return_line (return_id, sku, quantity) VALUES ('r1', 'A', 1), ('r2', 'A', 1)`

func TestInvariants(t *testing.T) {
	verifytest.Run(t, verifytest.Suite{
		Module: "fulfilment", Migrations: store.Migrations(), Checks: Invariants(), Good: goodParcels,
		Break: map[string][]string{
			"lines_in_bounds": {
				"UPDATE fulfilment_line SET packed = 5 WHERE order_id = 'o1' AND sku = 'A'", "UPDATE fulfilment_line SET shipped = 4 WHERE order_id = 'o1' AND sku = 'A'",
				"UPDATE fulfilment_line SET returned = 3 WHERE order_id = 'o1' AND sku = 'A'",
			},
			"lines_say_the_shipments": {
				"DELETE FROM shipment_line WHERE shipment_id = 's2'", "UPDATE shipment SET state = 'SHIPPED' WHERE id = 's1'",
				"UPDATE fulfilment_line SET packed = 1 WHERE sku = 'B'",
			},
			"lines_say_the_returns": {"UPDATE goods_return SET state = 'RECEIVED'", "UPDATE goods_return SET state = 'CANCELLED' WHERE id = 'r2'"},
			"cancelled_ships_nothing": {
				"UPDATE shipment SET state = 'PACKED' WHERE id = 's3'", "UPDATE shipment SET state = 'SHIPPED' WHERE id = 's3'",
				"UPDATE fulfilment SET state = 'CANCELLED' WHERE order_id = 'o1'",
			},
		},
	})
}
