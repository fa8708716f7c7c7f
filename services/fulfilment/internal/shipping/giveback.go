package shipping

import (
	"context"
	"fmt"
	"slices"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Announce says that these pieces of an order come back, also when the order was cancelled meanwhile. NOTHING_TO_RETURN when fewer have left
// and aren't on their way back already. With a requestID it is made once, as with Pack.
func (s *Service) Announce(ctx context.Context, orderID string, pieces []Piece, reason, requestID string) (Return, error) {
	asked, err := sorted(pieces)
	if err != nil {
		return Return{}, err
	}
	if len(asked) == 0 {
		return Return{}, problem.InvalidArgument(ReasonInvalidLines, "what comes back?")
	}
	id, err := s.cfg.NewID()
	if err != nil {
		return Return{}, fmt.Errorf("make a return id: %w", err)
	}
	var made Return
	err = s.cfg.Store.Update(ctx, func(tx Tx) error {
		made = Return{ID: id, OrderID: orderID, RequestID: requestID, State: ReturnAnnounced, Pieces: asked, Reason: reason, Created: s.time()}
		if requestID != "" {
			first, ok, err := tx.ReturnOf(ctx, requestID)
			if err != nil {
				return err
			}
			if ok {
				made = first
				if first.OrderID != orderID || !slices.Equal(first.Pieces, asked) || first.Reason != reason {
					return reused(requestID, "return", first.ID)
				}
				return nil
			}
		}
		_, ok, err := tx.Lock(ctx, orderID, made.Created)
		if err != nil {
			return err
		}
		if !ok {
			return notFound(orderID)
		}
		sku, err := change(ctx, tx, orderID, CountReturning, asked, 1)
		if err != nil {
			return err
		}
		if sku != "" {
			return problem.FailedPrecondition(ReasonNothingToReturn, "fewer pieces of %q of order %s have left and don't come back already", sku, orderID)
		}
		return tx.AddReturn(ctx, made)
	})
	if err != nil {
		return Return{}, fmt.Errorf("announce a return: %w", err)
	}
	return made, nil
}

// Receive says that a return is back, and whether its pieces go into the stock again, and tells the other modules. Again, it changes
// nothing; with another restock it is RETURN_RECEIVED. RETURN_CANCELLED when it was.
func (s *Service) Receive(ctx context.Context, id string, restock bool) (Return, error) {
	return s.moveReturn(ctx, "receive a return", id, func(tx Tx, r *Return) error {
		switch r.State {
		case ReturnReceived:
			if r.Restock != restock {
				return problem.FailedPrecondition(ReasonReturnReceived, "return %s was received, and its pieces are where they are", id)
			}
			return nil
		case ReturnCancelled:
			return problem.FailedPrecondition(ReasonReturnCancelled, "return %s was cancelled", id)
		default:
		}
		at := s.time()
		r.State, r.Restock, r.ReceivedAt = ReturnReceived, restock, at
		if err := tx.MoveReturn(ctx, *r, ReturnAnnounced); err != nil {
			return err
		}
		if err := must(ctx, tx, r.OrderID, CountReturned, r.Pieces, 1); err != nil {
			return err
		}
		f, err := settle(ctx, tx, r.OrderID, at)
		if err != nil {
			return err
		}
		complete := f.every(func(l Line) int64 { return l.Returned })
		return tx.Emit(ctx, Event{Kind: HasReturned, OrderID: r.OrderID, Return: *r, Complete: complete, At: at})
	})
}

// CancelReturn says that a return never came. Again, it changes nothing. RETURN_RECEIVED when it did.
func (s *Service) CancelReturn(ctx context.Context, id string) (Return, error) {
	return s.moveReturn(ctx, "cancel a return", id, func(tx Tx, r *Return) error {
		switch r.State {
		case ReturnCancelled:
			return nil
		case ReturnReceived:
			return problem.FailedPrecondition(ReasonReturnReceived, "return %s was received", id)
		default:
		}
		r.State = ReturnCancelled
		if err := tx.MoveReturn(ctx, *r, ReturnAnnounced); err != nil {
			return err
		}
		return must(ctx, tx, r.OrderID, CountReturning, r.Pieces, -1)
	})
}

// moveReturn runs fn on a return whose order is locked.
func (s *Service) moveReturn(ctx context.Context, what, id string, fn func(tx Tx, r *Return) error) (Return, error) {
	var r Return
	err := s.cfg.Store.Update(ctx, func(tx Tx) error {
		var ok bool
		var err error
		if r, ok, err = tx.Return(ctx, id); err != nil {
			return err
		}
		if !ok {
			return problem.NotFound(ReasonReturnNotFound, "no return %s", id)
		}
		if _, ok, err = tx.Lock(ctx, r.OrderID, s.time()); err == nil && !ok {
			err = fmt.Errorf("return %s has no order", id)
		}
		if err != nil {
			return err
		}
		return fn(tx, &r)
	})
	if err != nil {
		return Return{}, fmt.Errorf("%s: %w", what, err)
	}
	return r, nil
}
