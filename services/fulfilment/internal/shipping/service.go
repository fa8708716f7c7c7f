package shipping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Config is what a Service needs; all of it.
type Config struct {
	Store Store
	// Now is the clock.
	Now func() time.Time
	// NewID makes a UUIDv7.
	NewID func() (string, error)
}

// Service keeps the law of the module: no piece leaves that wasn't ordered, and none comes back that hasn't left. It is safe for
// concurrent use. Its errors are coded ones of chassis/problem with the reasons of this package; any other error is an internal one, and
// nothing was changed.
type Service struct{ cfg Config }

// New makes a Service. It fails when something is missing in c.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Now == nil || c.NewID == nil {
		return nil, errors.New("fulfilment: Store, Now and NewID are all needed")
	}
	return &Service{cfg: c}, nil
}

// Get returns the fulfilment of an order; FULFILMENT_NOT_FOUND unless it is paid.
func (s *Service) Get(ctx context.Context, orderID string) (Fulfilment, error) {
	f, ok, err := s.cfg.Store.Get(ctx, orderID)
	if err != nil {
		return Fulfilment{}, fmt.Errorf("get the fulfilment of %s: %w", orderID, err)
	}
	if !ok {
		return Fulfilment{}, notFound(orderID)
	}
	return f, nil
}

func (s *Service) time() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// change changes a count of an order's lines by these pieces, times sign. It returns the SKU of the first that can't be, or "".
func change(ctx context.Context, tx Tx, orderID string, c Count, pieces []Piece, sign int64) (string, error) {
	for _, p := range pieces {
		ok, err := tx.Change(ctx, orderID, c, p.SKU, sign*p.Quantity)
		if err != nil {
			return "", err
		}
		if !ok {
			return p.SKU, nil
		}
	}
	return "", nil
}

// must is change where the law has already said that it can be.
func must(ctx context.Context, tx Tx, orderID string, c Count, pieces []Piece, sign int64) error {
	sku, err := change(ctx, tx, orderID, c, pieces, sign)
	if err == nil && sku != "" {
		err = fmt.Errorf("the counts of %s of order %s contradict its shipments", sku, orderID)
	}
	return err
}

// settle writes the state that the counts make, and returns the fulfilment with them.
func settle(ctx context.Context, tx Tx, orderID string, at time.Time) (Fulfilment, error) {
	f, ok, err := tx.Lock(ctx, orderID, at)
	if err == nil && !ok {
		err = fmt.Errorf("the fulfilment of %s is there and is not", orderID)
	}
	if err != nil {
		return Fulfilment{}, err
	}
	if now := f.progress(); now != f.State {
		f.State = now
		err = tx.Move(ctx, orderID, now, f.LeftBeforeCancel)
	}
	return f, err
}

// sorted returns the pieces by SKU; INVALID_LINES when one is there twice or there are too many.
func sorted(pieces []Piece) ([]Piece, error) {
	if len(pieces) > MaxPieces {
		return nil, problem.InvalidArgument(ReasonInvalidLines, "%d lines are too many; %d is the limit", len(pieces), MaxPieces)
	}
	out := slices.Clone(pieces)
	slices.SortFunc(out, bySKU)
	for i, p := range out {
		if p.Quantity <= 0 {
			return nil, problem.InvalidArgument(ReasonInvalidLines, "%d pieces of %q can't be", p.Quantity, p.SKU)
		}
		if i > 0 && out[i-1].SKU == p.SKU {
			return nil, problem.InvalidArgument(ReasonInvalidLines, "%q is there twice", p.SKU)
		}
	}
	return out, nil
}

func bySKU(a, b Piece) int { return strings.Compare(a.SKU, b.SKU) }
