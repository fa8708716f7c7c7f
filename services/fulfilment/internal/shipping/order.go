package shipping

import (
	"context"
	"fmt"
)

// Accept takes an order that was paid: from now on its lines are to be shipped. Again, it changes nothing, and neither does an order
// whose cancellation came first. It works in the caller's transaction.
func (s *Service) Accept(ctx context.Context, tx Tx, orderID string, a Address, lines []Line) error {
	buried, err := tx.Buried(ctx, orderID)
	if err != nil || buried {
		return err
	}
	f := Fulfilment{OrderID: orderID, State: Open, Address: a, Created: s.time()}
	f.Updated = f.Created
	at := make(map[string]int, len(lines))
	for _, l := range lines { // an order may have a SKU on two lines, at two prices; a parcel doesn't care
		if i, twice := at[l.SKU]; twice {
			f.Lines[i].Ordered += l.Ordered
			continue
		}
		at[l.SKU] = len(f.Lines)
		f.Lines = append(f.Lines, Line{SKU: l.SKU, Title: l.Title, Ordered: l.Ordered})
	}
	if err := tx.Add(ctx, f); err != nil {
		return fmt.Errorf("accept order %s: %w", orderID, err)
	}
	return nil
}

// Cancel sees to it that nothing of an order leaves any more: what is packed is unpacked. It returns true when something had left
// already: somebody has to get it back. Again, it changes nothing. It works in the caller's transaction.
func (s *Service) Cancel(ctx context.Context, tx Tx, orderID string) (left bool, err error) {
	at := s.time()
	f, ok, err := tx.Lock(ctx, orderID, at)
	if err != nil {
		return false, fmt.Errorf("cancel the fulfilment of %s: %w", orderID, err)
	}
	if !ok { // the cancellation came first, or the order was never paid
		return false, tx.Bury(ctx, orderID, at)
	}
	if f.State == Cancelled {
		return f.LeftBeforeCancel, nil
	}
	packed, err := tx.Packed(ctx, orderID)
	if err != nil {
		return false, fmt.Errorf("cancel the fulfilment of %s: %w", orderID, err)
	}
	for _, p := range packed {
		if err := unpack(ctx, tx, p); err != nil {
			return false, fmt.Errorf("cancel the fulfilment of %s: %w", orderID, err)
		}
	}
	return f.left(), tx.Move(ctx, orderID, Cancelled, f.left())
}

// unpack cancels a packed shipment.
func unpack(ctx context.Context, tx Tx, p Shipment) error {
	p.State = ShipmentCancelled
	if err := tx.MoveShipment(ctx, p, ShipmentPacked); err != nil {
		return err
	}
	return must(ctx, tx, p.OrderID, CountPacked, p.Pieces, -1)
}
