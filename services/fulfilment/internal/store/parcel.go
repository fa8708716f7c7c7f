package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
)

// first returns the one of a list, false when it has none.
func first[T any](list []T, err error) (T, bool, error) {
	var none T
	if err != nil || len(list) == 0 {
		return none, false, err
	}
	return list[0], true, nil
}

// Shipment implements shipping.Tx.
func (t tx) Shipment(ctx context.Context, id string) (shipping.Shipment, bool, error) {
	return first(shipments(ctx, t.Tx, "WHERE id = $1", id))
}

// ShipmentOf implements shipping.Tx.
func (t tx) ShipmentOf(ctx context.Context, requestID string) (shipping.Shipment, bool, error) {
	return first(shipments(ctx, t.Tx, "WHERE request_id = $1", requestID))
}

// Packed implements shipping.Tx.
func (t tx) Packed(ctx context.Context, orderID string) ([]shipping.Shipment, error) {
	return shipments(ctx, t.Tx, "WHERE order_id = $1 AND state = 'PACKED'", orderID)
}

// Return implements shipping.Tx.
func (t tx) Return(ctx context.Context, id string) (shipping.Return, bool, error) {
	return first(returns(ctx, t.Tx, "WHERE id = $1", id))
}

// ReturnOf implements shipping.Tx.
func (t tx) ReturnOf(ctx context.Context, requestID string) (shipping.Return, bool, error) {
	return first(returns(ctx, t.Tx, "WHERE request_id = $1", requestID))
}

// AddShipment implements shipping.Tx.
func (t tx) AddShipment(ctx context.Context, s shipping.Shipment) error {
	_, err := t.ExecContext(ctx, "INSERT INTO shipment (id, order_id, request_id, state, rest, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
		s.ID, s.OrderID, optional(s.RequestID), string(s.State), flag(s.Rest), s.Created.UnixMicro())
	if err != nil {
		return fmt.Errorf("write a shipment: %w", err)
	}
	return t.addPieces(ctx, "INSERT INTO shipment_line (shipment_id, sku, quantity) VALUES ($1, $2, $3)", s.ID, s.Pieces)
}

// AddReturn implements shipping.Tx.
func (t tx) AddReturn(ctx context.Context, r shipping.Return) error {
	_, err := t.ExecContext(ctx, "INSERT INTO goods_return (id, order_id, request_id, state, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
		r.ID, r.OrderID, optional(r.RequestID), string(r.State), r.Reason, r.Created.UnixMicro())
	if err != nil {
		return fmt.Errorf("write a return: %w", err)
	}
	return t.addPieces(ctx, "INSERT INTO goods_return_line (return_id, sku, quantity) VALUES ($1, $2, $3)", r.ID, r.Pieces)
}

func (t tx) addPieces(ctx context.Context, query, id string, pieces []shipping.Piece) error {
	for _, p := range pieces {
		if _, err := t.ExecContext(ctx, query, id, p.SKU, p.Quantity); err != nil {
			return fmt.Errorf("write the lines of a parcel: %w", err)
		}
	}
	return nil
}

// MoveShipment implements shipping.Tx.
func (t tx) MoveShipment(ctx context.Context, s shipping.Shipment, from shipping.ShipmentState) error {
	ok, err := affected(t.ExecContext(ctx, `UPDATE shipment SET state = $1, carrier = $2, tracking_number = $3, shipped_at = $4, delivered_at = $5
		WHERE id = $6 AND state = $7`,
		string(s.State), s.Carrier, s.TrackingNumber, micros(s.ShippedAt), micros(s.DeliveredAt), s.ID, string(from)))
	if err == nil && !ok {
		err = fmt.Errorf("shipment %s is not %s", s.ID, from)
	}
	if err != nil {
		return fmt.Errorf("move a shipment: %w", err)
	}
	return nil
}

// MoveReturn implements shipping.Tx.
func (t tx) MoveReturn(ctx context.Context, r shipping.Return, from shipping.ReturnState) error {
	ok, err := affected(t.ExecContext(ctx, "UPDATE goods_return SET state = $1, restock = $2, received_at = $3 WHERE id = $4 AND state = $5",
		string(r.State), flag(r.Restock), micros(r.ReceivedAt), r.ID, string(from)))
	if err == nil && !ok {
		err = fmt.Errorf("return %s is not %s", r.ID, from)
	}
	if err != nil {
		return fmt.Errorf("move a return: %w", err)
	}
	return nil
}

// optional is NULL for the empty string.
func optional(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
