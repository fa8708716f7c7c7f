package inventory

import (
	"context"
	"time"

	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
	"github.com/cleavehq/cleave/services/inventory/internal/store"
)

const (
	// expireLease is the lease under which one instance of the module expires reservations.
	expireLease = "inventory.expire"
	// expireEvery is how long it rests when nothing is due: a reservation outlives its time by about so much.
	expireEvery = time.Second
)

// expirer expires reservations for as long as it has the lease. Its transactions begin with the lease's guard, so that one that was paused and
// lost the lease changes nothing. That is for order's sake: a second one would do no harm, since expiring is one conditional change.
func expirer(db *store.Store, now func() time.Time) func(context.Context, *lease.Lease) error {
	return func(ctx context.Context, l *lease.Lease) error {
		service, err := stock.New(stock.Config{Store: db.Guarded(l.Guard), Now: now})
		if err != nil {
			return err
		}
		rest := time.NewTimer(0)
		defer rest.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-rest.C:
			}
			_, more, err := service.Expire(ctx)
			if err != nil {
				return err
			}
			if more {
				rest.Reset(0)
			} else {
				rest.Reset(expireEvery)
			}
		}
	}
}
