package saga

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

const (
	batch       = 64 // orders that are read at once
	driveAtOnce = 8
)

// Work drives every order that is left lying, until ctx ends: then it returns nil, after its drivers have.
func (d *Driver) Work(ctx context.Context) error {
	for {
		n, err := d.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			d.c.Log.WarnContext(ctx, "orders that wait could not be driven; trying again", "error", err)
		}
		if ctx.Err() != nil || n < batch && !d.pause(ctx, d.c.Poll) {
			return nil //nolint:nilerr // err is in the log, or ctx's
		}
	}
}

// Sweep drives the orders that are due, once, and returns how many it had. Orders whose steps failed are no error.
func (d *Driver) Sweep(ctx context.Context) (int, error) {
	ids, err := d.c.Store.Due(ctx, d.now(), batch)
	if err != nil {
		return 0, err
	}
	var all errgroup.Group
	all.SetLimit(driveAtOnce)
	var claimed atomic.Int64
	for _, id := range ids {
		all.Go(func() error {
			o, err := d.Claim(ctx, id)
			if err != nil {
				return err
			}
			if o == nil {
				return nil // another was quicker
			}
			claimed.Add(1)
			ctx, span := telemetry.TracerOf(ctx).Join(ctx, o.Trace, "resume an order", telemetry.Internal) // whoever began it may be dead
			span.Done(d.Drive(ctx, o, sale.Token{}))                                                       // what went wrong is in the log, and in the row
			return nil
		})
	}
	err = all.Wait()
	return int(claimed.Load()), err
}

// Claim reads an order and makes the caller its driver. It returns nil when somebody else is.
func (d *Driver) Claim(ctx context.Context, id string) (*sale.Order, error) {
	o, err := d.c.Store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	now := d.now()
	if o.Next.IsZero() || o.Claimed(now) {
		return nil, nil //nolint:nilnil // it is at rest, or another's
	}
	if err := o.Claim(now, d.c.Claim); err != nil {
		return nil, err
	}
	if err := d.write(ctx, pointClaimed, &o); err != nil {
		var w *writeError
		if errors.As(err, &w) && hasReason(w.err, sale.ReasonOrderStateChanged) {
			return nil, nil //nolint:nilnil // another's
		}
		return nil, problem.From(err)
	}
	return &o, nil
}
