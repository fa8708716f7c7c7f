package events

import (
	"context"
	"log/slog"
	"time"

	"go-micro.dev/v4/broker"
)

// Watch lets a subscription's owner take part in what becomes of a message. Its functions run where the handler runs.
type Watch struct {
	// Uncounted says how many of m's earlier deliveries were no attempts, because they ended with [Later]. It is asked when m was delivered
	// before.
	Uncounted func(m *broker.Message) int
	// Dead is told of a message that has become a dead letter. It may be missed when the process dies.
	Dead func(m *broker.Message, reason error)
}

// Watching gives a subscription of [JetStream] or [RabbitMQ] a watch.
func Watching(w Watch) broker.SubscribeOption {
	return func(o *broker.SubscribeOptions) {
		if o.Context == nil {
			o.Context = context.Background()
		}
		o.Context = context.WithValue(o.Context, watchKey{}, w)
	}
}

type watchKey struct{}

// watchOf never has nil functions.
func watchOf(o broker.SubscribeOptions) Watch {
	var w Watch
	if o.Context != nil {
		w, _ = o.Context.Value(watchKey{}).(Watch)
	}
	if w.Uncounted == nil {
		w.Uncounted = func(*broker.Message) int { return 0 }
	}
	if w.Dead == nil {
		w.Dead = func(*broker.Message, error) {}
	}
	return w
}

// attempts is how many of the deliveries so far, this one included, count.
func (w Watch) attempts(m *broker.Message, deliveries int) int {
	if deliveries <= 1 {
		return 1
	}
	return max(deliveries-w.Uncounted(m), 1)
}

// forOther says whether m is a replay for another group.
func forOther(m *broker.Message, group string) bool {
	only := m.Header[HeaderReplay]
	return only != "" && only != group
}

// logAgain tells that a message comes again. One that only waits is no news.
func logAgain(log *slog.Logger, err error, in time.Duration) {
	if isLater(err) {
		log.Debug("event has to wait; it comes again", "reason", err, "in", in)
		return
	}
	log.Warn("event failed; it comes again", "error", err, "in", in)
}
