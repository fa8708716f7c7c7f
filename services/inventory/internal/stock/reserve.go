package stock

import (
	"context"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Reserve promises every line, or none. The id is the caller's: with the same lines, in any order, it answers with the
// reservation as it stands; with other lines it is RESERVATION_DIFFERS; after a Release it is RESERVATION_RELEASED, and after its time
// RESERVATION_EXPIRED. OUT_OF_STOCK names the first SKU, by name, that can't be had, and how many of it can. DUPLICATE_SKU when a SKU is
// on two lines.
//
// The promise lasts for ttl, DefaultTTL when that is 0; a Reserve sent again makes it no longer. When a line can't be had, reservations
// of its SKU that have outlived their time are expired first.
func (s *Service) Reserve(ctx context.Context, id string, lines []Line, ttl time.Duration) (Reservation, error) {
	sorted, err := sortLines(lines)
	if err != nil {
		return Reservation{}, err
	}
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < MinTTL || ttl > MaxTTL {
		return Reservation{}, problem.InvalidArgument(ReasonOutOfRange, "a reservation lasts %v to %v, not %v", MinTTL, MaxTTL, ttl)
	}
	r, err := s.reserve(ctx, id, sorted, ttl)
	if p := problem.From(err); p != nil && p.Reason == ReasonOutOfStock {
		if found, failed := s.expireOf(ctx, sorted); failed != nil {
			err = failed
		} else if found {
			r, err = s.reserve(ctx, id, sorted, ttl)
		}
	}
	if err != nil {
		return Reservation{}, fmt.Errorf("reserve stock: %w", err)
	}
	return r, nil
}

func (s *Service) reserve(ctx context.Context, id string, sorted []Line, ttl time.Duration) (result Reservation, err error) {
	err = s.change(ctx, func(tx Tx, at time.Time) ([]Change, error) {
		result = Reservation{ID: id, State: Reserved, Lines: sorted, Expires: at.Add(ttl).Truncate(time.Microsecond)}
		added, err := tx.AddReservation(ctx, result, at)
		if err != nil {
			return nil, err
		}
		if added {
			return eachLine(sorted, func(l Line) (Change, error) {
				st, err := hold(ctx, tx, l, at)
				return Change{Stock: st}, err
			})
		}
		was, _, err := tx.Reservation(ctx, id)
		if err != nil {
			return nil, err
		}
		result = was
		return nil, sameReservation(was, sorted)
	})
	return result, err
}

// sameReservation says what a second Reserve is told. Released comes first: a reservation released before it was made has no
// lines to compare.
func sameReservation(was Reservation, sorted []Line) error {
	if was.State == Released {
		return released(was.ID)
	}
	if was.State == Expired {
		return expired(was.ID)
	}
	if !sameLines(was.Lines, sorted) {
		return problem.AlreadyExists(ReasonReservationDiffers, "reservation %s has other lines", was.ID)
	}
	return nil
}

func hold(ctx context.Context, tx Tx, l Line, at time.Time) (Stock, error) {
	st, ok, err := tx.Hold(ctx, l.SKU, l.Quantity, at)
	if err != nil || ok {
		return st, err
	}
	known, err := tx.Stocks(ctx, []string{l.SKU})
	if err != nil {
		return Stock{}, err
	}
	return Stock{}, problem.FailedPrecondition(ReasonOutOfStock,
		"%s: %d wanted, %d available", l.SKU, l.Quantity, known[l.SKU].Available())
}

// Holds returns the SKUs of a reservation's lines, which never change; none when there is no such reservation.
func (s *Service) Holds(ctx context.Context, id string) ([]string, error) {
	return s.store.Holds(ctx, id)
}

// Commit takes what was reserved out of the warehouse: it has been sold. Again, it changes nothing. RESERVATION_RELEASED or
// RESERVATION_EXPIRED when it was given back, RESERVATION_NOT_FOUND when there is none. One that has outlived its time and still holds
// its stock is committed all the same.
func (s *Service) Commit(ctx context.Context, id string) (Reservation, error) {
	r, err := s.finish(ctx, id, Committed, func(Tx, time.Time) (Reservation, error) {
		return Reservation{}, problem.NotFound(ReasonReservationNotFound, "no reservation %s", id)
	})
	if err != nil {
		return Reservation{}, fmt.Errorf("commit a reservation: %w", err)
	}
	return r, nil
}

// Release gives back what was reserved. Again, it changes nothing. RESERVATION_COMMITTED when it was committed. One that never
// was is written down as released, so that a Reserve that comes after its Release promises nothing. An expired one stays expired.
func (s *Service) Release(ctx context.Context, id string) (Reservation, error) {
	r, err := s.finish(ctx, id, Released, func(tx Tx, at time.Time) (Reservation, error) {
		r := Reservation{ID: id, State: Released}
		added, err := tx.AddReservation(ctx, r, at)
		if err == nil && !added { // within one serializable transaction it can't be
			err = fmt.Errorf("reservation %s is there and is not", id)
		}
		return r, err
	})
	if err != nil {
		return Reservation{}, fmt.Errorf("release a reservation: %w", err)
	}
	return r, nil
}

// finish moves a reservation to a final state; unknown answers for one that is not there.
func (s *Service) finish(ctx context.Context, id string, to State, unknown func(Tx, time.Time) (Reservation, error)) (Reservation, error) {
	var result Reservation
	err := s.change(ctx, func(tx Tx, at time.Time) ([]Change, error) {
		r, ok, err := tx.Reservation(ctx, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			result, err = unknown(tx, at)
			return nil, err
		}
		moved, err := tx.SetState(ctx, id, Reserved, to, at)
		if err != nil {
			return nil, err
		}
		if !moved {
			result = r
			return nil, finished(r, to)
		}
		r.State = to
		result = r
		return eachLine(r.Lines, func(l Line) (Change, error) { return settle(ctx, tx, r, l, at) })
	})
	return result, err
}

// finished says what is told to one who wants a reservation in state to that is final already.
func finished(r Reservation, to State) error {
	switch r.State {
	case to:
		return nil
	case Released:
		return released(r.ID)
	case Expired:
		if to == Released { // what it held is given back, and that is what is wanted
			return nil
		}
		return expired(r.ID)
	default:
		return problem.FailedPrecondition(ReasonReservationCommitted, "reservation %s is committed: what it held is sold", r.ID)
	}
}

// settle ends one line of a reservation, which is in its new state.
func settle(ctx context.Context, tx Tx, r Reservation, l Line, at time.Time) (Change, error) {
	do, change := tx.Free, Change{}
	if r.State == Committed {
		do, change = tx.Sell, Change{Delta: -l.Quantity, Kind: Sold, Reference: r.ID}
	}
	st, ok, err := do(ctx, l.SKU, l.Quantity, at)
	if err == nil && !ok {
		err = fmt.Errorf("the law is broken: fewer of %s are reserved than the %d of one reservation", l.SKU, l.Quantity)
	}
	change.Stock = st
	return change, err
}

func eachLine(lines []Line, do func(Line) (Change, error)) ([]Change, error) {
	changed := make([]Change, 0, len(lines))
	for _, l := range lines {
		c, err := do(l)
		if err != nil {
			return nil, err
		}
		changed = append(changed, c)
	}
	return changed, nil
}

func released(id string) error {
	return problem.FailedPrecondition(ReasonReservationReleased, "reservation %s is released", id)
}

func expired(id string) error {
	return problem.FailedPrecondition(ReasonReservationExpired, "reservation %s has expired: what it held was given back", id)
}
