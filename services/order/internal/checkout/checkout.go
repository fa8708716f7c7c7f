// Package checkout is what a client can do with orders: place one, look at it, call it off, have money sent back. It writes down what was
// decided, and package saga does it.
package checkout

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Config is what a Service needs. All but the bound are required.
type Config struct {
	Store  Store
	Carts  Carts
	Prices Prices
	Driver Driver
	Fault  saga.Faults
	Log    *slog.Logger
	// Now is the clock.
	Now func() time.Time
	// Within bounds the steps that a request waits for, 30 s when 0: the worker does what is left.
	Within time.Duration
	// Look is how often Watch looks for what happened, 500 ms when 0.
	Look time.Duration
	// Stopping ends every Watch when it is closed; may be nil.
	Stopping <-chan struct{}
}

// Service is the orders' business. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Carts == nil || c.Prices == nil || c.Driver == nil || c.Fault == nil || c.Log == nil || c.Now == nil {
		return nil, errors.New("checkout: Store, Carts, Prices, Driver, Fault, Log and Now are required")
	}
	c.Within = cmp.Or(c.Within, 30*time.Second)
	c.Look = cmp.Or(c.Look, 500*time.Millisecond)
	return &Service{cfg: c}, nil
}

// Get returns an order, or ORDER_NOT_FOUND.
func (s *Service) Get(ctx context.Context, id string) (sale.Order, error) {
	return s.cfg.Store.Get(ctx, id)
}

// History returns everything that happened to an order, the oldest first; ORDER_NOT_FOUND when there is none.
func (s *Service) History(ctx context.Context, id string) ([]sale.Entry, error) {
	h, err := s.cfg.Store.History(ctx, id)
	if err == nil && len(h) == 0 {
		return nil, problem.NotFound(sale.ReasonOrderNotFound, "there is no such order")
	}
	return h, err
}

// decideTries bounds how often a decision is made anew because the order changed under it.
const decideTries = 10

// decide changes an order as change says, in a row that is locked by its version: when somebody else was quicker, change is asked again with
// what is there then. Then it drives the order, if nobody else does. It returns the order as it stands after that; an error only when the
// decision was not written.
func (s *Service) decide(ctx context.Context, id string, change func(*sale.Order) error) (sale.Order, error) {
	for try := 1; ; try++ {
		o, err := s.cfg.Store.Get(ctx, id)
		if err != nil {
			return sale.Order{}, err
		}
		if err := change(&o); err != nil {
			return sale.Order{}, err
		}
		now := s.now()
		mine := !o.Done() && o.Claim(now, s.cfg.Driver.ClaimFor()) == nil
		if !mine && len(o.Fresh()) == 0 {
			return o, nil // nothing to write: it was decided before
		}
		err = saga.Hit(ctx, s.cfg.Fault, saga.PointDecide, func() error { return s.cfg.Store.Save(ctx, &o) })
		switch {
		case err == nil && mine:
			return s.drive(ctx, &o, sale.Token{}), nil
		case err == nil:
			return o, nil // its driver sees it
		case problem.From(err).Code != codes.Aborted || try == decideTries:
			return sale.Order{}, err
		}
	}
}

// drive drives an order that is claimed, whether or not the caller waits, and returns it as far as it came.
func (s *Service) drive(ctx context.Context, o *sale.Order, token sale.Token) sale.Order {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Within)
	defer cancel()
	if err := s.cfg.Driver.Drive(ctx, o, token); err != nil {
		s.cfg.Log.WarnContext(ctx, "the worker has to go on with an order", "order_id", o.ID, "state", o.State, "error", err)
	}
	return *o
}

// now is the clock at the precision that the store keeps.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
