package sale

import (
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Work is who drives the order, and when somebody has to.
type Work struct {
	// Epoch grows with every claim. Who claimed it with another epoch is stale.
	Epoch int64
	// Until is when the claim ends; zero when nobody drives it.
	Until time.Time
	// Next is when the worker has to look at it; zero when it is at rest.
	Next time.Time
	// Attempts counts the failures of its next step in a row; LastError is the reason of the last one.
	Attempts  int64
	LastError string
}

// Claimed says that somebody drives the order.
func (o *Order) Claimed(now time.Time) bool { return o.Until.After(now) }

// Claim makes the caller the order's driver for ttl. ORDER_CLAIMED when there is one already.
func (o *Order) Claim(now time.Time, ttl time.Duration) error {
	if o.Claimed(now) {
		return problem.Aborted(ReasonOrderClaimed, "the order is being worked on")
	}
	o.Epoch++
	o.Until, o.Next = now.Add(ttl), now.Add(ttl)
	return nil
}

// Renew makes a driver's claim last for ttl from now on.
func (o *Order) Renew(now time.Time, ttl time.Duration) {
	o.Until, o.Next = now.Add(ttl), now.Add(ttl)
}

// Keep is written with every step of a driver: it keeps the claim for ttl from now on, or gives it back when nothing is left to do. lookAgain
// is how long after its end a cancelled order is looked at once more, when a payment of it may have come to be after it was asked for.
func (o *Order) Keep(now time.Time, ttl, lookAgain time.Duration) {
	o.Attempts, o.LastError = 0, ""
	switch {
	case !o.Done():
		o.Until, o.Next = now.Add(ttl), now.Add(ttl)
	case o.Holds.Payment && o.State == Cancelled:
		o.Until, o.Next = time.Time{}, now.Add(lookAgain)
	default:
		o.Until, o.Next = time.Time{}, time.Time{}
	}
}

// Park gives the claim back after a step that failed: it is to be tried again at next.
func (o *Order) Park(reason string, next time.Time) {
	o.Attempts++
	o.LastError, o.Until, o.Next = reason, time.Time{}, next
}

// Wake asks the worker to look at the order, which has something to do again.
func (o *Order) Wake(now time.Time) {
	if o.Next.IsZero() || o.Next.After(now) && o.Until.IsZero() {
		o.Next = now
	}
}

// Done says that no step is left to be done: neither of the checkout, nor of a cancellation, nor of a refund.
func (o *Order) Done() bool {
	if o.asked() > 0 || o.GivenUp() && o.State != Cancelled {
		return false
	}
	switch o.State {
	case Pending, Reserved, Authorized, Confirmed:
		return false
	default:
		return true
	}
}
