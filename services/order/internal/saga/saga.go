// Package saga drives orders: from the row that the checkout wrote to PAID, or all the way back; and whatever is to be refunded.
//
// A driver does one step after the other: it calls other modules, then writes the new state, the entry of the history and the event in one
// transaction. It has claimed the order for a short time, which every step renews, and every write names the version that it read: so of two
// drivers, and of a driver and a cancellation, one wins, and the other one reads again. A driver that dies leaves a claim that ends; then the
// worker, which is the same driver without the payment token, goes on from the row.
//
// A call whose answer is lost may have been done. What can be asked again is asked again, with the same key. Whether money is held isn't
// guessed: the payment module asks the provider.
package saga

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// ErrLost says that somebody else drives the order by now: this driver's claim had ended.
var ErrLost = errors.New("another driver has claimed the order")

// Config is what a Driver needs. All but the bounds are required.
type Config struct {
	Store    Store
	Stock    Stock
	Coupons  Coupons
	Payments Payments
	Fault    Faults
	Log      *slog.Logger
	// Now is the clock.
	Now func() time.Time
	// Claim is how long a driver that says nothing keeps an order, 8 s when 0; a step has three quarters of it.
	Claim time.Duration
	// Poll is how often the worker looks for orders, 500 ms when 0.
	Poll time.Duration
	// Backoff is the wait after the first failure of a step, 200 ms when 0; it doubles up to a minute.
	Backoff time.Duration
	// AlarmAfter is how many failures of one step in a row are an alarm in the log, 10 when 0.
	AlarmAfter int64
	// LookAgain is how long after its end a cancelled order is looked at once more, 30 s when 0, if a payment may have come to be late.
	LookAgain time.Duration
}

// Driver drives orders. It is safe for concurrent use.
type Driver struct{ c Config }

// New returns a Driver.
func New(c Config) (*Driver, error) {
	if c.Store == nil || c.Stock == nil || c.Coupons == nil || c.Payments == nil || c.Fault == nil || c.Log == nil || c.Now == nil {
		return nil, errors.New("saga: Store, Stock, Coupons, Payments, Fault, Log and Now are required")
	}
	c.Claim = cmp.Or(c.Claim, 8*time.Second)
	c.Poll = cmp.Or(c.Poll, 500*time.Millisecond)
	c.Backoff = cmp.Or(c.Backoff, 200*time.Millisecond)
	c.AlarmAfter = cmp.Or(c.AlarmAfter, 10)
	c.LookAgain = cmp.Or(c.LookAgain, 30*time.Second)
	return &Driver{c: c}, nil
}

// ClaimFor is how long a claim lasts.
func (d *Driver) ClaimFor() time.Duration { return d.c.Claim }

// With returns the same Driver on another store: one whose transactions are guarded.
func (d *Driver) With(s Store) *Driver {
	c := d.c
	c.Store = s
	return &Driver{c: c}
}

// run is one driver's time with one order.
type run struct {
	*Driver
	token sale.Token
	// first says that nobody has tried the steps of this order before.
	first bool
	// asked says that this driver has asked for the money.
	asked bool
}

// Drive takes an order that the caller has claimed through its steps, and leaves in o how far it came. It returns nil when nothing is
// left to do; else the error of the step that failed, after the order was given to the worker; or ErrLost. The token is the zero
// one when it isn't known. When ctx ends the order is given to the worker at once.
func (d *Driver) Drive(ctx context.Context, o *sale.Order, token sale.Token) error {
	r := &run{Driver: d, token: token, first: o.Epoch == 1}
	epoch := o.Epoch
	for tries := 0; ; {
		step := r.next(o)
		if step == nil {
			return nil
		}
		err := r.renew(ctx, o)
		if err == nil {
			work := o.Clone()
			if err = r.do(ctx, &work, step); err == nil {
				*o = work
				continue
			}
		}
		r.first = false
		known, changed := d.again(ctx, o)
		switch {
		case known && o.Epoch != epoch:
			r.reconsider(ctx, o)
			return ErrLost
		case known && changed:
			continue // somebody decided something, or the write whose answer was lost was made
		case !written(err) || tries == 3:
			return d.park(ctx, o, err)
		}
		tries++
		if !d.pause(ctx, d.c.Backoff<<tries/2) {
			return d.park(ctx, o, err)
		}
	}
}

// do runs a step within its bound, which ends before the claim does: so nothing that this driver has asked for begins when another one drives.
func (r *run) do(ctx context.Context, o *sale.Order, step func(context.Context, *sale.Order) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.c.Claim*3/4)
	defer cancel()
	ctx, span := telemetry.Start(ctx, "saga "+stepOf(o), telemetry.Internal)
	span.Set("order.state", string(o.State))
	span.Link(o.Trace) // a refund, or a request that was sent again, has a trace of its own
	err := step(ctx, o)
	span.Done(err)
	return err
}

// stepOf names the step that next chose.
func stepOf(o *sale.Order) string {
	if _, asked := o.NextRefund(); asked {
		return "refund"
	}
	if o.GivenUp() && o.State != sale.Cancelled {
		return "undo"
	}
	switch o.State {
	case sale.Pending:
		return "reserve"
	case sale.Reserved:
		return "authorize"
	case sale.Authorized:
		return "confirm"
	case sale.Confirmed:
		return "settle"
	default:
		return "look"
	}
}

// renew makes the claim last as long as a step may take. It isn't a part of the step: what a failed step leaves is compared with it.
func (r *run) renew(ctx context.Context, o *sale.Order) error {
	now := r.now()
	if o.Until.Sub(now) >= r.c.Claim*7/8 {
		return nil
	}
	renewed := o.Clone()
	renewed.Renew(now, r.c.Claim)
	if err := r.write(ctx, pointClaimed, &renewed); err != nil {
		return err
	}
	*o = renewed
	return nil
}

// next returns the step that the order stands before; nil when it is at rest, or its claim was given back.
func (r *run) next(o *sale.Order) func(context.Context, *sale.Order) error {
	if o.Until.IsZero() {
		return nil
	}
	if _, asked := o.NextRefund(); asked {
		return r.refund
	}
	if o.GivenUp() && o.State != sale.Cancelled {
		return r.undo
	}
	switch o.State {
	case sale.Pending:
		return r.reserve
	case sale.Reserved:
		return r.authorize
	case sale.Authorized:
		return r.confirm
	case sale.Confirmed:
		return r.settle
	default:
		return r.look
	}
}

// again reads what is kept of the order into o. It says whether it could, and whether that is another version.
func (d *Driver) again(ctx context.Context, o *sale.Order) (known, changed bool) {
	ctx, cancel := tail(ctx)
	defer cancel()
	now, err := d.c.Store.Get(ctx, o.ID)
	if err != nil {
		return false, false
	}
	changed = now.Version != o.Version
	*o = now
	return true, changed
}

// reconsider has an order looked at again that another driver has cancelled meanwhile: the money that this one asked for may have come to be
// held after the other one has looked.
func (r *run) reconsider(ctx context.Context, o *sale.Order) {
	if !r.asked || o.State != sale.Cancelled || !o.Until.IsZero() {
		return
	}
	ctx, cancel := tail(ctx)
	defer cancel()
	o.Holds.Payment = true
	o.Wake(r.now())
	if err := r.write(ctx, pointParked, o); err != nil {
		r.c.Log.ErrorContext(ctx, "money may be held for a cancelled order", "order_id", o.ID, "alarm", true, "error", err)
	}
}

// save writes a step, and keeps the claim or gives it back.
func (d *Driver) save(ctx context.Context, point string, o *sale.Order) error {
	o.Keep(d.now(), d.c.Claim, d.c.LookAgain)
	return d.write(ctx, point, o)
}

func (d *Driver) write(ctx context.Context, point string, o *sale.Order) error {
	err := Hit(ctx, d.c.Fault, point, func() error { return d.c.Store.Save(ctx, o) })
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// writeError says that it was the writing that failed: it is tried again sooner than a call.
type writeError struct{ err error }

func (e *writeError) Error() string { return "write the order: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

func written(err error) bool {
	var w *writeError
	return errors.As(err, &w)
}

// park gives the order to the worker, which tries again later, and returns err.
func (d *Driver) park(ctx context.Context, o *sale.Order, err error) error {
	p := problem.From(err)
	next := d.now()
	if ctx.Err() == nil {
		next = next.Add(d.backoff(o.Attempts))
	}
	o.Park(p.Reason, next)
	level := slog.LevelWarn
	if o.Attempts >= d.c.AlarmAfter {
		level = slog.LevelError
	}
	d.c.Log.Log(ctx, level, "a step of an order failed and is tried again", "order_id", o.ID, "state", o.State,
		"given_up", o.GivenUp(), "attempts", o.Attempts, "alarm", level == slog.LevelError, "error", err)
	ctx, cancel := tail(ctx)
	defer cancel()
	if saveErr := d.write(ctx, pointParked, o); saveErr != nil {
		d.c.Log.WarnContext(ctx, "an order could not be given to the worker: it waits until the claim ends", "order_id", o.ID, "error", saveErr)
	}
	return err
}

// tail is the time for a last word about an order, also when ctx has ended.
func tail(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
}

// backoff is the wait after the nth failure, from 0, with a fifth of it by chance.
func (d *Driver) backoff(n int64) time.Duration {
	wait := min(d.c.Backoff<<min(n, 16), time.Minute)
	return wait + rand.N(wait/5+1) //nolint:gosec // so that many don't come at once, not a secret
}

// pause waits, and says whether ctx still runs.
func (d *Driver) pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// now is the clock at the precision that the store keeps.
func (d *Driver) now() time.Time { return d.c.Now().UTC().Truncate(time.Microsecond) }
