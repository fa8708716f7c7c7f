package checkout

import (
	"context"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Watch gives send everything that happened to an order after the entry with the sequence after, the oldest first, and then what happens,
// until ctx ends or send fails. ORDER_NOT_FOUND when there is none; WATCH_MOVED when the module stops. It looks into the store, where
// every instance writes: a look is one query of one order.
func (s *Service) Watch(ctx context.Context, id string, after int64, send func(sale.Entry) error) error {
	look := time.NewTicker(s.cfg.Look)
	defer look.Stop()
	for {
		history, err := s.History(ctx, id)
		if err != nil {
			return err
		}
		for _, e := range history {
			if e.Sequence <= after {
				continue
			}
			if err := send(e); err != nil {
				return err
			}
			after = e.Sequence
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.cfg.Stopping:
			return problem.Unavailable(sale.ReasonWatchMoved, "the module stops: watch again, after event %d", after)
		}
	}
}
