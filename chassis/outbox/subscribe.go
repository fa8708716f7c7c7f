package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/events"
)

// Subscribe hands every M to fn in a transaction of db together with the inbox row: each event is applied once for each consumer. fn does
// nothing but SQL on tx (it may be run again when the transaction loses against another); it may call [Append], and its ctx carries tx, so
// that a data.Tx on db joins it. consumer is the broker's group: the module's name, or "module.purpose".
//
// Events of one key come in the order in which they were appended, whatever their topic, among the topics that one consumer subscribes to on
// one [Inbox.On]. An event that comes early is handed back to the broker until its turn. When an earlier one never comes, it goes on
// after Inbox.Wait: the gap is counted and logged, and what was missing becomes a dead letter if it comes after all.
//
// When fn fails the event comes again, and after the broker's number of attempts, or at once when the error is events.Permanent, it is a dead
// letter, and the key's later events go on without it. Replayed, it is applied, even though later ones have been.
//
// Subscribe returns when what is published from now on will come; Unsubscribe is as in events.Subscribe.
func Subscribe[M proto.Message](b broker.Broker, db *sql.DB, consumer string, fn func(ctx context.Context, tx *sql.Tx, m M) error) (broker.Subscriber, error) {
	on, ok := b.(*bound)
	if !ok {
		on, _ = Inbox{}.On(b).(*bound)
	}
	var zero M
	s := &subscription{bound: on, db: db, consumer: consumer, topic: events.Topic(zero)}
	first, err := s.register()
	if err != nil {
		return nil, fmt.Errorf("subscribe %s to %s: %w", consumer, s.topic, err)
	}
	sub, err := events.SubscribeMessages(on.Broker, consumer, func(ctx context.Context, header map[string]string, m M) error {
		id, err := readEventID(m)
		if err != nil {
			return events.Permanent(err)
		}
		return s.handle(ctx, id, header, func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, tx, m) })
	}, events.Watching(events.Watch{Uncounted: s.uncounted, Dead: s.dead}), events.Traced(on.inbox.Tracer))
	if err != nil {
		return nil, err
	}
	if first { // what was published before the broker had the group never comes
		if err := s.restart(); err != nil {
			return nil, errors.Join(fmt.Errorf("subscribe %s to %s: %w", consumer, s.topic, err), sub.Unsubscribe())
		}
	}
	return sub, nil
}

// register notes when the consumer first subscribed to the topic, and says whether that is now.
func (s *subscription) register() (first bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), askWait)
	defer cancel()
	var since int64
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO inbox_topic (consumer, topic, since) VALUES ($1, $2, $3) ON CONFLICT (consumer, topic) DO NOTHING`,
			s.consumer, s.topic, s.inbox.Now().UnixMicro())
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return err
		}
		first = n > 0
		return tx.QueryRowContext(ctx, `SELECT since FROM inbox_topic WHERE consumer = $1 AND topic = $2`, s.consumer, s.topic).Scan(&since)
	})
	s.add(s.consumer, s.topic, since)
	return first, err
}

// restart moves the first subscription to now.
func (s *subscription) restart() error {
	ctx, cancel := context.WithTimeout(context.Background(), askWait)
	defer cancel()
	now := s.inbox.Now().UnixMicro()
	_, err := s.db.ExecContext(ctx, `UPDATE inbox_topic SET since = $1 WHERE consumer = $2 AND topic = $3`, now, s.consumer, s.topic)
	s.add(s.consumer, s.topic, now)
	return err
}
