package shipping

import (
	"context"
	"fmt"
	"slices"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Pack makes a shipment of these pieces of an order; of whatever isn't packed yet when there are none. NOTHING_TO_SHIP when fewer are left,
// FULFILMENT_CANCELLED when the order is cancelled.
//
// With a requestID it is made once: sent again it returns the shipment as it is by now, and for another order or other pieces it is
// REQUEST_ID_REUSED. Without one each call counts.
func (s *Service) Pack(ctx context.Context, orderID string, pieces []Piece, requestID string) (Shipment, error) {
	asked, err := sorted(pieces)
	if err != nil {
		return Shipment{}, err
	}
	id, err := s.cfg.NewID()
	if err != nil {
		return Shipment{}, fmt.Errorf("make a shipment id: %w", err)
	}
	var made Shipment
	err = s.cfg.Store.Update(ctx, func(tx Tx) error {
		made = Shipment{
			ID: id, OrderID: orderID, RequestID: requestID, State: ShipmentPacked, Pieces: asked, Rest: len(asked) == 0, Created: s.time(),
		}
		if requestID != "" {
			first, ok, err := tx.ShipmentOf(ctx, requestID)
			if err != nil {
				return err
			}
			if ok {
				same := first.OrderID == orderID && first.Rest == made.Rest && (first.Rest || slices.Equal(first.Pieces, asked))
				made = first
				if !same {
					return reused(requestID, "shipment", first.ID)
				}
				return nil
			}
		}
		return pack(ctx, tx, &made)
	})
	if err != nil {
		return Shipment{}, fmt.Errorf("pack: %w", err)
	}
	return made, nil
}

func pack(ctx context.Context, tx Tx, s *Shipment) error {
	f, ok, err := tx.Lock(ctx, s.OrderID, s.Created)
	switch {
	case err != nil:
		return err
	case !ok:
		return notFound(s.OrderID)
	case f.State == Cancelled:
		return cancelled(s.OrderID)
	}
	if s.Rest {
		s.Pieces = f.rest()
		slices.SortFunc(s.Pieces, bySKU)
	}
	if len(s.Pieces) == 0 {
		return problem.FailedPrecondition(ReasonNothingToShip, "every piece of order %s is packed", s.OrderID)
	}
	sku, err := change(ctx, tx, s.OrderID, CountPacked, s.Pieces, 1)
	if err != nil {
		return err
	}
	if sku != "" {
		return problem.FailedPrecondition(ReasonNothingToShip, "order %s has fewer pieces of %q that aren't packed yet", s.OrderID, sku)
	}
	return tx.AddShipment(ctx, *s)
}

// Ship says that a shipment was handed to the carrier, and tells the other modules. Again, it changes nothing; with another carrier or
// tracking number it is SHIPMENT_SHIPPED. SHIPMENT_CANCELLED or FULFILMENT_CANCELLED when it must not leave.
func (s *Service) Ship(ctx context.Context, id, carrier, tracking string) (Shipment, error) {
	return s.move(ctx, "ship", id, func(tx Tx, f Fulfilment, p *Shipment) error {
		switch p.State {
		case ShipmentShipped, ShipmentDelivered:
			if p.Carrier != carrier || p.TrackingNumber != tracking {
				return problem.FailedPrecondition(ReasonShipmentShipped, "shipment %s has left with %s %s", id, p.Carrier, p.TrackingNumber)
			}
			return nil
		case ShipmentCancelled:
			if f.State == Cancelled {
				return cancelled(p.OrderID)
			}
			return problem.FailedPrecondition(ReasonShipmentCancelled, "shipment %s was cancelled", id)
		default:
		}
		at := s.time()
		p.State, p.Carrier, p.TrackingNumber, p.ShippedAt = ShipmentShipped, carrier, tracking, at
		if err := tx.MoveShipment(ctx, *p, ShipmentPacked); err != nil {
			return err
		}
		if err := must(ctx, tx, p.OrderID, CountShipped, p.Pieces, 1); err != nil {
			return err
		}
		f, err := settle(ctx, tx, p.OrderID, at)
		if err != nil {
			return err
		}
		complete := f.every(func(l Line) int64 { return l.Shipped })
		return tx.Emit(ctx, Event{Kind: HasShipped, OrderID: p.OrderID, Shipment: *p, Complete: complete, At: at})
	})
}

// Deliver says that a shipment has arrived, and tells the other modules; also when its order was cancelled meanwhile. Again, it changes
// nothing. SHIPMENT_NOT_SHIPPED when it hasn't left, SHIPMENT_CANCELLED when it never will.
func (s *Service) Deliver(ctx context.Context, id string) (Shipment, error) {
	return s.move(ctx, "deliver", id, func(tx Tx, _ Fulfilment, p *Shipment) error {
		switch p.State {
		case ShipmentDelivered:
			return nil
		case ShipmentCancelled:
			return problem.FailedPrecondition(ReasonShipmentCancelled, "shipment %s was cancelled", id)
		case ShipmentPacked:
			return problem.FailedPrecondition(ReasonShipmentNotShip, "shipment %s hasn't left yet", id)
		default:
		}
		at := s.time()
		p.State, p.DeliveredAt = ShipmentDelivered, at
		if err := tx.MoveShipment(ctx, *p, ShipmentShipped); err != nil {
			return err
		}
		if err := must(ctx, tx, p.OrderID, CountDelivered, p.Pieces, 1); err != nil {
			return err
		}
		f, err := settle(ctx, tx, p.OrderID, at)
		if err != nil {
			return err
		}
		complete := f.every(func(l Line) int64 { return l.Delivered })
		return tx.Emit(ctx, Event{Kind: HasArrived, OrderID: p.OrderID, Shipment: *p, Complete: complete, At: at})
	})
}

// CancelShipment unpacks a shipment. Again, it changes nothing. SHIPMENT_SHIPPED when it has left.
func (s *Service) CancelShipment(ctx context.Context, id string) (Shipment, error) {
	return s.move(ctx, "cancel shipment", id, func(tx Tx, _ Fulfilment, p *Shipment) error {
		switch p.State {
		case ShipmentCancelled:
			return nil
		case ShipmentShipped, ShipmentDelivered:
			return problem.FailedPrecondition(ReasonShipmentShipped, "shipment %s has left", id)
		default:
		}
		if err := unpack(ctx, tx, *p); err != nil {
			return err
		}
		p.State = ShipmentCancelled
		return nil
	})
}

// move runs fn on a shipment whose order is locked.
func (s *Service) move(ctx context.Context, what, id string, fn func(tx Tx, f Fulfilment, p *Shipment) error) (Shipment, error) {
	var p Shipment
	err := s.cfg.Store.Update(ctx, func(tx Tx) error {
		var ok bool
		var err error
		if p, ok, err = tx.Shipment(ctx, id); err != nil {
			return err
		}
		if !ok {
			return problem.NotFound(ReasonShipmentNotFound, "no shipment %s", id)
		}
		f, ok, err := tx.Lock(ctx, p.OrderID, s.time())
		if err == nil && !ok {
			err = fmt.Errorf("shipment %s has no order", id)
		}
		if err != nil {
			return err
		}
		return fn(tx, f, &p)
	})
	if err != nil {
		return Shipment{}, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}
