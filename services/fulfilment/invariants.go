package fulfilment

import "github.com/cleavehq/cleave/chassis/verify"

// Invariants are the laws of the module's data.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "lines_in_bounds",
			Law:  "delivered <= shipped <= packed <= ordered, and announced and returned are no more than left",
			SQL: `SELECT order_id, sku, ordered, packed, shipped, delivered, announced, returned FROM fulfilment_line
				WHERE delivered < 0 OR delivered > shipped OR shipped > packed OR packed > ordered
				OR returned < 0 OR returned > announced OR announced > shipped ORDER BY order_id, sku`,
		},
		{
			Name: "lines_say_the_shipments",
			Law:  "a line counts the pieces of its shipments",
			SQL: `SELECT l.order_id, l.sku, l.packed, l.shipped, l.delivered, COALESCE(s.packed, 0) AS in_parcels, COALESCE(s.shipped, 0) AS sent,
				COALESCE(s.delivered, 0) AS arrived
				FROM fulfilment_line l LEFT JOIN (
					SELECT h.order_id, p.sku, SUM(p.quantity) AS packed,
						SUM(CASE WHEN h.state IN ('SHIPPED', 'DELIVERED') THEN p.quantity ELSE 0 END) AS shipped,
						SUM(CASE h.state WHEN 'DELIVERED' THEN p.quantity ELSE 0 END) AS delivered
					FROM shipment h JOIN shipment_line p ON p.shipment_id = h.id WHERE h.state <> 'CANCELLED' GROUP BY h.order_id, p.sku
				) s ON s.order_id = l.order_id AND s.sku = l.sku
				WHERE l.packed <> COALESCE(s.packed, 0) OR l.shipped <> COALESCE(s.shipped, 0) OR l.delivered <> COALESCE(s.delivered, 0)
				ORDER BY l.order_id, l.sku`,
		},
		{
			Name: "lines_say_the_returns",
			Law:  "a line counts the pieces of its returns",
			SQL: `SELECT l.order_id, l.sku, l.announced, l.returned, COALESCE(r.announced, 0) AS in_returns, COALESCE(r.returned, 0) AS received
				FROM fulfilment_line l LEFT JOIN (
					SELECT g.order_id, p.sku, SUM(p.quantity) AS announced, SUM(CASE g.state WHEN 'RECEIVED' THEN p.quantity ELSE 0 END) AS returned
					FROM goods_return g JOIN goods_return_line p ON p.return_id = g.id WHERE g.state <> 'CANCELLED' GROUP BY g.order_id, p.sku
				) r ON r.order_id = l.order_id AND r.sku = l.sku
				WHERE l.announced <> COALESCE(r.announced, 0) OR l.returned <> COALESCE(r.returned, 0) ORDER BY l.order_id, l.sku`,
		},
		{
			Name: "cancelled_ships_nothing",
			Law:  "of a cancelled order nothing waits in a parcel, and what left before is marked",
			SQL: `SELECT f.order_id, s.id AS shipment, s.state FROM fulfilment f JOIN shipment s ON s.order_id = f.order_id
				WHERE f.state = 'CANCELLED' AND (s.state = 'PACKED' OR s.state IN ('SHIPPED', 'DELIVERED') AND f.left_before_cancel = 0)
				ORDER BY f.order_id, s.id`,
		},
	}
}
