package stock

import (
	"context"
	"fmt"
	"time"
)

// expireBatch is how many reservations are looked for at a time.
const expireBatch = 100

// Expire gives back what reservations hold that have outlived their time, up to a batch of them, and says how many it expired, and whether
// there may be more. Each is expired in a transaction of its own: one that is committed or released meanwhile is left alone.
func (s *Service) Expire(ctx context.Context) (n int, more bool, err error) {
	n, found, err := s.expireDue(ctx, nil)
	return n, found == expireBatch, err
}

// expireOf does the same for the reservations that hold one of the lines' SKUs. It says whether there were any, also when another was quicker
// to expire them.
func (s *Service) expireOf(ctx context.Context, lines []Line) (found bool, err error) {
	skus := make([]string, len(lines))
	for i, l := range lines {
		skus[i] = l.SKU
	}
	_, due, err := s.expireDue(ctx, skus)
	return due > 0, err
}

func (s *Service) expireDue(ctx context.Context, skus []string) (n, found int, err error) {
	due, err := s.store.Due(ctx, s.moment(), skus, expireBatch)
	if err != nil {
		return 0, 0, fmt.Errorf("find reservations that are due: %w", err)
	}
	for _, id := range due {
		done, err := s.expire(ctx, id)
		if err != nil {
			return n, len(due), fmt.Errorf("expire reservation %s: %w", id, err)
		}
		if done {
			n++
		}
	}
	return n, len(due), nil
}

// expire is one conditional change: a reservation that is reserved and due becomes expired, and what it held is free.
func (s *Service) expire(ctx context.Context, id string) (done bool, err error) {
	err = s.change(ctx, func(tx Tx, at time.Time) ([]Change, error) {
		if done, err = tx.Expire(ctx, id, at); err != nil || !done {
			return nil, err
		}
		r, _, err := tx.Reservation(ctx, id)
		if err != nil {
			return nil, err
		}
		return eachLine(r.Lines, func(l Line) (Change, error) { return settle(ctx, tx, r, l, at) })
	})
	return done && err == nil, err
}
