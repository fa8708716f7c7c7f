package stock

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Config is what a Service needs; all of it.
type Config struct {
	Store Store
	// Now is the clock.
	Now func() time.Time
}

// Service keeps the law of the inventory: 0 <= reserved <= on hand. It is safe for concurrent use. Its errors are coded ones of
// chassis/problem with the reasons of this package; any other error is an internal one, and nothing was changed.
type Service struct {
	store Store
	now   func() time.Time
}

// New makes a Service. It fails when something is missing in c.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Now == nil {
		return nil, errors.New("inventory: Store and Now are needed")
	}
	return &Service{store: c.Store, now: c.Now}, nil
}

// Get returns the stock of one SKU; STOCK_NOT_FOUND when it was never counted.
func (s *Service) Get(ctx context.Context, sku string) (Stock, error) {
	if err := checkSKU(sku); err != nil {
		return Stock{}, err
	}
	st, ok, err := s.store.Stock(ctx, sku)
	if err != nil {
		return Stock{}, fmt.Errorf("get stock: %w", err)
	}
	if !ok {
		return Stock{}, notCounted(sku)
	}
	return st, nil
}

// List returns one page of the stock by SKU, and the token of the next page: "" on the last one. A size of 0 means page.DefaultSize.
// A page starts after the last SKU of the one before, so what is added or removed meanwhile makes it neither skip nor repeat.
func (s *Service) List(ctx context.Context, size int, token string) ([]Stock, string, error) {
	list := page.Of("stock")
	after, err := list.Parse(token, 1)
	if err != nil {
		return nil, "", err
	}
	n := page.Size(size)
	found, err := s.store.List(ctx, strings.Join(after, ""), n+1) // one more tells whether there is a next page
	if err != nil {
		return nil, "", fmt.Errorf("list stock: %w", err)
	}
	if len(found) <= n {
		return found, "", nil
	}
	return found[:n], list.Token(found[n-1].SKU), nil
}

// moment is what the clock says, to the microsecond: nothing finer is kept.
func (s *Service) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func notCounted(sku string) error {
	return problem.NotFound(ReasonStockNotFound, "%s was never stocked", sku)
}
