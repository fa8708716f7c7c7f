package price

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Admin is what the shop's staff does with things of one kind. It is safe for concurrent use.
type Admin[T comparable] struct {
	shelf Shelf[T]
	kind  string
	now   func() time.Time
	key   func(T) string
	stamp func(*T) *Stamp
	// prepare makes a new thing complete; check refuses one that can't be, and going one that can't be deleted.
	prepare func(*T) error
	check   func(T) error
	going   func(T) error
}

// NewEntries is the administration of the price list. now is the clock.
func NewEntries(shelf Shelf[Entry], now func() time.Time) (*Admin[Entry], error) {
	return admin(Admin[Entry]{
		shelf: shelf, kind: "prices", now: now,
		key:   func(e Entry) string { return e.ID },
		stamp: func(e *Entry) *Stamp { return &e.Stamp },
		prepare: func(e *Entry) error {
			id, err := uuid.NewV7()
			e.ID = id.String()
			return err
		},
		check: func(e Entry) error { return e.Valid.check() },
		going: func(Entry) error { return nil },
	})
}

// NewTaxRates is the administration of the taxes. now is the clock.
func NewTaxRates(shelf Shelf[TaxRate], now func() time.Time) (*Admin[TaxRate], error) {
	return admin(Admin[TaxRate]{
		shelf: shelf, kind: "taxRates", now: now,
		key:     func(r TaxRate) string { return r.Country },
		stamp:   func(r *TaxRate) *Stamp { return &r.Stamp },
		prepare: func(*TaxRate) error { return nil },
		check:   func(TaxRate) error { return nil },
		going:   func(TaxRate) error { return nil },
	})
}

// NewCoupons is the administration of the coupons. now is the clock.
func NewCoupons(shelf Shelf[Coupon], now func() time.Time) (*Admin[Coupon], error) {
	return admin(Admin[Coupon]{
		shelf: shelf, kind: "coupons", now: now,
		key:   func(c Coupon) string { return c.Code },
		stamp: func(c *Coupon) *Stamp { return &c.Stamp },
		prepare: func(c *Coupon) error {
			c.Code, c.Used, c.Reserved = Code(c.Code), 0, 0
			return nil
		},
		check: Coupon.check,
		going: func(c Coupon) error {
			if c.Used+c.Reserved > 0 {
				return problem.FailedPrecondition(ReasonCouponRedeemed, "coupon %s was redeemed: let it end instead", c.Code)
			}
			return nil
		},
	})
}

func admin[T comparable](a Admin[T]) (*Admin[T], error) {
	if a.shelf == nil || a.now == nil {
		return nil, errors.New("pricing: a shelf and a clock are needed")
	}
	a.now = clock(a.now)
	return &a, nil
}

// Create adds a thing and returns it with what the server gives it.
func (a *Admin[T]) Create(ctx context.Context, thing T) (T, error) {
	var none T
	if err := a.prepare(&thing); err != nil {
		return none, err
	}
	if err := a.check(thing); err != nil {
		return none, err
	}
	now := a.now()
	*a.stamp(&thing) = Stamp{Created: now, Updated: now, Revision: 1}
	if err := a.shelf.Insert(ctx, thing); err != nil {
		return none, err
	}
	return thing, nil
}

// Get returns a thing, or a NotFound.
func (a *Admin[T]) Get(ctx context.Context, key string) (T, error) { return a.shelf.Get(ctx, key) }

// List returns one page by key, and the token of the next page: "" on the last one.
func (a *Admin[T]) List(ctx context.Context, filter string, size int, token string) ([]T, string, error) {
	list := page.Of(a.kind, filter)
	after, err := list.Parse(token, 1)
	if err != nil {
		return nil, "", err
	}
	if !storable(filter) {
		return nil, "", nil
	}
	n := page.Size(size)
	found, err := a.shelf.List(ctx, filter, strings.Join(after, ""), n+1) // one more tells whether there is a next page
	if err != nil || len(found) <= n {
		return found, "", err
	}
	return found[:n], list.Token(a.key(found[n-1])), nil
}

// Update lets fn change a thing. etag may be empty; when it is not, the thing must still have it: ETAG_MISMATCH. fn may run more than once.
func (a *Admin[T]) Update(ctx context.Context, key, etag string, fn func(*T) error) (T, error) {
	now := a.now()
	return a.shelf.Change(ctx, key, func(thing *T) error {
		before := *thing
		stamp := a.stamp(thing)
		if etag != "" && etag != stamp.Etag() {
			return problem.Aborted(ReasonEtagMismatch, "it has changed: its etag is %q, not %q", stamp.Etag(), etag)
		}
		if err := fn(thing); err != nil {
			return err
		}
		if *thing == before {
			return nil
		}
		stamp.Updated = now
		stamp.Revision++
		return a.check(*thing)
	})
}

// Delete takes a thing away, or returns a NotFound.
func (a *Admin[T]) Delete(ctx context.Context, key string) error {
	return a.shelf.Delete(ctx, key, a.going)
}

// Etag changes with every change of a thing.
func (s Stamp) Etag() string { return "r" + strconv.FormatInt(s.Revision, 10) }

func (w Window) check() error {
	if !w.Until.IsZero() && !w.Until.After(w.From) {
		return problem.InvalidArgument(ReasonWindowEmpty, "valid_until must be later than valid_from")
	}
	for _, at := range []time.Time{w.From, w.Until} {
		if !at.IsZero() && at.UnixMicro() <= 0 {
			return problem.InvalidArgument(ReasonOutOfRange, "a time is later than 1970")
		}
	}
	return nil
}

func (c Coupon) check() error {
	if err := c.Valid.check(); err != nil {
		return err
	}
	if c.Limit > 0 && c.Used+c.Reserved > c.Limit {
		return problem.FailedPrecondition(ReasonLimitBelowUsed,
			"coupon %s is used %d times and reserved %d times, more than %d", c.Code, c.Used, c.Reserved, c.Limit)
	}
	if c.Off.Amount.Currency != "" && c.Minimum.Currency != "" && c.Off.Amount.Currency != c.Minimum.Currency {
		return problem.InvalidArgument(ReasonCurrencyMismatch, "amount and minimum_subtotal are in one currency")
	}
	return nil
}
