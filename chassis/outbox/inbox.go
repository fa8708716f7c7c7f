package outbox

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// Inbox is what the subscriptions of one module have in common.
type Inbox struct {
	// Wait is how long an event waits for an earlier one of its key before it goes on without; default 15 minutes, which is longer than a
	// broker of package events takes to give an event up.
	Wait time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
	Log *slog.Logger
	// Fault is hit at inbox.apply.before, in the transaction, and inbox.apply.after its commit.
	Fault *fault.Points
	// Metrics may be nil.
	Metrics *Metrics
	// Tracer records the handling of events; nil for none.
	Tracer *telemetry.Tracer
}

// On returns b for [Subscribe]. The topics that one consumer subscribes to on it are in order together.
func (c Inbox) On(b broker.Broker) broker.Broker {
	return &bound{Broker: b, inbox: c.withDefaults(), topics: make(map[string]map[string]int64)}
}

func (c Inbox) withDefaults() Inbox {
	if c.Wait <= 0 {
		c.Wait = 15 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics, _ = NewMetrics(nil) // without a registerer nothing can be taken
	}
	return c
}

// bound is a broker with the settings of its inbox, and what is subscribed to on it.
type bound struct {
	broker.Broker
	inbox Inbox

	mu     sync.Mutex
	topics map[string]map[string]int64 // consumer, topic, and since when in microseconds
}

func (b *bound) add(consumer, topic string, since int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[consumer] == nil {
		b.topics[consumer] = make(map[string]int64)
	}
	b.topics[consumer][topic] = since
}

// since says when consumer first subscribed to topic; false when it isn't subscribed.
func (b *bound) since(consumer, topic string) (int64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.topics[consumer][topic]
	return at, ok
}

// subscription applies the events of one topic for one consumer.
type subscription struct {
	*bound
	db       *sql.DB
	consumer string
	topic    string
}

// patience is how long an event is kept in hand while the database is away; then it goes back, and that counts as an attempt.
const patience = time.Minute

// handle applies one event, or says why not. fn is the subscriber's.
func (s *subscription) handle(ctx context.Context, id string, header map[string]string, fn func(ctx context.Context, tx *sql.Tx) error) error {
	at, err := readStamp(header)
	if err != nil {
		return events.Permanent(err)
	}
	a := &application{subscription: s, id: id, at: at, replay: header[events.HeaderReplay] == s.consumer, fn: fn}
	began := time.Now()
	for try := 0; ; try++ {
		a.fnErr, a.try = nil, try
		err := data.Tx(ctx, s.db, func(tx *sql.Tx) error { return a.run(ctx, tx) })
		switch {
		case err == nil && a.result == soon:
			if err := pause(ctx, soonWait); err != nil {
				return err
			}
			continue
		case err == nil:
			return a.finish(ctx)
		case a.fnErr != nil || ctx.Err() != nil || time.Since(began) > patience:
			return err
		}
		if try == 0 {
			s.inbox.Log.WarnContext(ctx, "an event waits for the database", "consumer", s.consumer, "topic", s.topic, "event", id, "error", err)
		}
		if err := pause(ctx, min(100*time.Millisecond<<min(try, 6), 5*time.Second)); err != nil {
			return err
		}
	}
}

// uncounted is events.Watch's: how often the event was handed back to wait.
func (s *subscription) uncounted(m *broker.Message) int {
	ctx, cancel := context.WithTimeout(context.Background(), askWait)
	defer cancel()
	var n int
	err := s.db.QueryRowContext(ctx, `SELECT times FROM inbox_wait WHERE consumer = $1 AND event_id = $2`, s.consumer, m.Header[events.HeaderEventID]).Scan(&n)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0
	case err != nil:
		return math.MaxInt32 // while the database is away no event is given up
	}
	return n
}

// askWait bounds what is asked of the database outside of a handler.
const askWait = 5 * time.Second

// dead is events.Watch's: later events of the key needn't wait for this one any longer.
func (s *subscription) dead(m *broker.Message, reason error) {
	s.inbox.Metrics.dead.WithLabelValues(s.consumer).Inc()
	at, err := readStamp(m.Header)
	if err != nil || at == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askWait)
	defer cancel()
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error { return s.gap(ctx, tx, at.key, s.topic, at.prior[s.topic], at.seq, gapDead) })
	if err != nil {
		s.inbox.Log.WarnContext(ctx, "later events of a key wait for one that is a dead letter, until their time is over",
			"consumer", s.consumer, "topic", s.topic, "key", at.key, "seq", at.seq, "reason", reason, "error", err)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
