package events

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"go-micro.dev/v4/broker"
)

// Permanent marks err as one that no repetition mends: the message becomes a dead letter at once. Nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

func isPermanent(err error) bool {
	var p *permanent
	return errors.As(err, &p)
}

// Later marks err as no failure: the message comes again after a delay that stays short, and the delivery counts as an
// attempt only for a subscription that isn't [Watching]. Nil stays nil.
func Later(err error) error {
	if err == nil {
		return nil
	}
	return &later{err}
}

type later struct{ err error }

func (l *later) Error() string { return l.err.Error() }
func (l *later) Unwrap() error { return l.err }

func isLater(err error) bool {
	var l *later
	return errors.As(err, &l)
}

// laterMax is the last backoff that a [Later] gets to, 15 s by default: what it waits for may come at any time.
const laterMax = 5

// call runs a handler; a panic is an error, with its stack in the log and not in the message.
func call(h broker.Handler, e broker.Event, log *slog.Logger) (err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("an event handler panicked", "topic", e.Topic(), "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", r)
		}
	}()
	return h(e)
}

// verdict is what becomes of a message.
type verdict int

const (
	done  verdict = iota // acknowledge
	again                // deliver again, later
	dead                 // dead letter
	left                 // the handler has it in hand (no auto-ack), or has acknowledged it
)

// judge decides after the attempt-th delivery.
func (d Delivery) judge(err error, attempt int, autoAck, acked bool) verdict {
	switch {
	case acked:
		return left
	case err == nil && autoAck:
		return done
	case err == nil:
		return left
	case isPermanent(err):
		return dead
	case isLater(err):
		return again
	case attempt >= d.MaxDeliver:
		return dead
	default:
		return again
	}
}

// retryIn is how long to wait after a failure.
func (d Delivery) retryIn(err error, attempt, deliveries int) time.Duration {
	if isLater(err) {
		return d.delay(min(deliveries, laterMax))
	}
	return d.delay(attempt)
}
