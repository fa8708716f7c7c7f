package price

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Config is what a Service needs; all of it.
type Config struct {
	Store   Store
	Catalog Catalog
	// Now is the clock.
	Now func() time.Time
}

// Service makes quotes and keeps the law of the coupons: used + reserved <= limit. It is safe for concurrent use. Its errors are coded ones
// of chassis/problem with the reasons of this package; any other error is an internal one, and nothing was changed.
type Service struct {
	store   Store
	catalog Catalog
	now     func() time.Time
}

// New makes a Service. It fails when something is missing in c.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Catalog == nil || c.Now == nil {
		return nil, errors.New("pricing: Store, Catalog and Now are all needed")
	}
	return &Service{store: c.Store, catalog: c.Catalog, now: clock(c.Now)}, nil
}

// clock is what now says, to the microsecond: nothing finer is kept.
func clock(now func() time.Time) func() time.Time {
	return func() time.Time { return now().UTC().Truncate(time.Microsecond) }
}

// Quote makes a quote of today's prices, which stands for QuoteTime. Under a request id that was used it returns the quote made then, an
// expired one too; REQUEST_ID_REUSED when something else was asked then. Making a quote takes no use of its coupon.
func (s *Service) Quote(ctx context.Context, ask Ask) (Quote, error) {
	ask.Coupon = Code(ask.Coupon)
	if err := check(ask.Lines); err != nil {
		return Quote{}, err
	}
	asked, err := fingerprint(ask)
	if err != nil {
		return Quote{}, err
	}
	if q, found, err := s.asked(ctx, ask.RequestID, asked); err != nil || found {
		return q, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Quote{}, fmt.Errorf("make a quote id: %w", err)
	}
	now := s.now()
	q := Quote{
		ID: id.String(), Currency: ask.Currency, Country: ask.Country, Created: now, Expires: now.Add(QuoteTime),
		RequestID: ask.RequestID, Asked: asked,
	}
	if q.Lines, err = s.lines(ctx, ask, now); err != nil {
		return Quote{}, err
	}
	if ask.Country != "" {
		if q.Tax, _, err = s.store.TaxOf(ctx, ask.Country); err != nil {
			return Quote{}, fmt.Errorf("make a quote: %w", err)
		}
	}
	if err := s.total(ctx, &q, ask.Coupon); err != nil {
		return Quote{}, err
	}
	added, err := s.store.AddQuote(ctx, q)
	if err != nil {
		return Quote{}, fmt.Errorf("make a quote: %w", err)
	}
	if !added { // the same request, at the same time, was quicker
		q, _, err = s.asked(ctx, ask.RequestID, asked)
	}
	return q, err
}

// GetQuote returns a quote, an expired one too, or QUOTE_NOT_FOUND.
func (s *Service) GetQuote(ctx context.Context, id string) (Quote, error) {
	return s.store.Quote(ctx, id)
}

// total fills in the sums of a quote with the coupon, which may be empty.
func (s *Service) total(ctx context.Context, q *Quote, code string) (err error) {
	if q.Total, err = sum(q.Lines, Off{}, q.Tax); err != nil || code == "" {
		return err
	}
	c, found, err := s.store.CouponOf(ctx, code)
	if err != nil {
		return fmt.Errorf("make a quote: %w", err)
	}
	if !found {
		return notApplicable("there is no coupon %s", code)
	}
	if err := c.applies(q.Currency, q.Total.Subtotal, q.Created); err != nil {
		return err
	}
	q.Coupon = code
	q.Total, err = sum(q.Lines, c.Off, q.Tax)
	return err
}

// asked returns the quote that was made under a request id.
func (s *Service) asked(ctx context.Context, requestID, asked string) (Quote, bool, error) {
	if requestID == "" {
		return Quote{}, false, nil
	}
	q, found, err := s.store.QuoteAsked(ctx, requestID)
	if err == nil && found && q.Asked != asked {
		err = problem.AlreadyExists(ReasonRequestIDReused, "the request id %s has asked for another quote", requestID)
	}
	if err != nil {
		return Quote{}, false, err
	}
	return q, found, nil
}

// fingerprint is one spelling of what is asked, whoever asks and under whatever id.
func fingerprint(ask Ask) (string, error) {
	ask.RequestID = ""
	text, err := json.Marshal(ask)
	if err != nil {
		return "", fmt.Errorf("spell a request: %w", err)
	}
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:]), nil
}
