package price

import (
	"context"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// applies says why a coupon can't be put on a cart of this currency and subtotal; nil when it can. Whether a use is left is decided when
// it is redeemed; here one is only told early.
func (c Coupon) applies(currency string, subtotal int64, at time.Time) error {
	switch {
	case !c.Valid.Holds(at):
		return notApplicable("coupon %s is not valid now", c.Code)
	case c.Off.Amount.Currency != "" && c.Off.Amount.Currency != currency:
		return notApplicable("coupon %s is for %s", c.Code, c.Off.Amount.Currency)
	case c.Minimum.Currency != "" && c.Minimum.Currency != currency:
		return notApplicable("coupon %s is for %s", c.Code, c.Minimum.Currency)
	case subtotal < c.Minimum.Minor:
		return notApplicable("coupon %s is for carts of %d %s and more, in minor units", c.Code, c.Minimum.Minor, c.Minimum.Currency)
	case c.Limit > 0 && c.Used+c.Reserved >= c.Limit:
		return exhausted(c.Code)
	}
	return nil
}

// CouponOfQuote returns the code of a quote's coupon, which never changes; "" when there is none.
func (s *Service) CouponOfQuote(ctx context.Context, id string) (string, error) {
	return s.store.CouponOfQuote(ctx, id)
}

// CouponOfRedemption returns the code of a redemption's coupon, which never changes; "" when there is none.
func (s *Service) CouponOfRedemption(ctx context.Context, id string) (string, error) {
	return s.store.CouponOfRedemption(ctx, id)
}

// Redeem reserves one use of a quote's coupon under an id, the order's. The limit is in the statement that takes the use, so the last one
// is taken once, however many want it. A quote keeps its word until it expires, so of the coupon's conditions only the limit is looked
// at. Again with the same quote, it answers with the redemption as it stands, whatever the time.
func (s *Service) Redeem(ctx context.Context, id, quoteID string) (Redemption, error) {
	now := s.now()
	var result Redemption
	err := s.store.Update(ctx, func(tx Tx) error {
		was, found, err := tx.Redemption(ctx, id)
		if err != nil {
			return err
		}
		if found {
			result = was
			return sameRedemption(was, quoteID)
		}
		q, err := tx.Quote(ctx, quoteID)
		if err != nil {
			return err
		}
		if !now.Before(q.Expires) {
			return problem.FailedPrecondition(ReasonQuoteExpired, "quote %s has expired", quoteID)
		}
		if err := take(ctx, tx, q.Coupon); err != nil {
			return err
		}
		result = Redemption{ID: id, State: Reserved, QuoteID: quoteID, Coupon: q.Coupon}
		return tx.AddRedemption(ctx, result, now)
	})
	if err != nil {
		return Redemption{}, fmt.Errorf("redeem a coupon: %w", err)
	}
	return result, nil
}

// sameRedemption says what a second Redeem is told. Released comes first: one that was released before it was made has no quote.
func sameRedemption(was Redemption, quoteID string) error {
	if was.State == Released {
		return released(was.ID)
	}
	if was.QuoteID != quoteID {
		return problem.AlreadyExists(ReasonRedemptionDiffers, "redemption %s is of another quote", was.ID)
	}
	return nil
}

func take(ctx context.Context, tx Tx, code string) error {
	if code == "" {
		return nil
	}
	taken, err := tx.TakeUse(ctx, code)
	if err != nil || taken {
		return err
	}
	there, err := tx.CouponThere(ctx, code)
	if err != nil {
		return err
	}
	if !there {
		return notApplicable("there is no coupon %s any more", code)
	}
	return exhausted(code)
}

// Commit makes a use final. Again, it changes nothing. REDEMPTION_RELEASED when it was given back, REDEMPTION_NOT_FOUND when there is none.
func (s *Service) Commit(ctx context.Context, id string) (Redemption, error) {
	r, err := s.finish(ctx, id, Committed, func(Tx, time.Time) (Redemption, error) {
		return Redemption{}, problem.NotFound(ReasonRedemptionNotFound, "no redemption %s", id)
	})
	if err != nil {
		return Redemption{}, fmt.Errorf("commit a redemption: %w", err)
	}
	return r, nil
}

// Release gives a use back, one that was committed too: its order was called off before anything of it left. Again, it changes nothing. One
// that never was is written down as released, so that a Redeem that comes after its Release takes nothing. Nothing leaves Released, so of a
// Commit and a Release at one time it is the Release that stands.
func (s *Service) Release(ctx context.Context, id string) (Redemption, error) {
	r, err := s.finish(ctx, id, Released, func(tx Tx, at time.Time) (Redemption, error) {
		r := Redemption{ID: id, State: Released}
		return r, tx.AddRedemption(ctx, r, at)
	})
	if err != nil {
		return Redemption{}, fmt.Errorf("release a redemption: %w", err)
	}
	return r, nil
}

// finish moves a redemption to a state that it may end in; unknown answers for one that is not there.
func (s *Service) finish(
	ctx context.Context, id string, to State, unknown func(Tx, time.Time) (Redemption, error),
) (result Redemption, err error) {
	now := s.now()
	err = s.store.Update(ctx, func(tx Tx) error {
		r, found, err := tx.Redemption(ctx, id)
		if err != nil {
			return err
		}
		if !found {
			result, err = unknown(tx, now)
			return err
		}
		result = r
		switch r.State {
		case to:
			return nil
		case Released:
			return released(id)
		case Reserved, Committed:
		}
		result.State = to
		if err := settle(ctx, tx, r.Coupon, r.State, to); err != nil {
			return err
		}
		return tx.SetState(ctx, id, r.State, to, now)
	})
	return result, err
}

// settle counts what becomes of a use that was reserved or committed.
func settle(ctx context.Context, tx Tx, code string, from, to State) error {
	if code == "" {
		return nil
	}
	do := tx.KeepUse
	switch {
	case to == Released && from == Committed:
		do = tx.GiveBackUse
	case to == Released:
		do = tx.FreeUse
	}
	ok, err := do(ctx, code)
	if err == nil && !ok {
		err = fmt.Errorf("the law is broken: no use of %s is %s", code, from)
	}
	return err
}

func released(id string) error {
	return problem.FailedPrecondition(ReasonRedemptionReleased, "redemption %s is released", id)
}

func exhausted(code string) error {
	return problem.FailedPrecondition(ReasonCouponExhausted, "coupon %s was used as often as it may be", code)
}

func notApplicable(format string, args ...any) error {
	return problem.FailedPrecondition(ReasonCouponNotApplicable, format, args...)
}
