package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go-micro.dev/v4/broker"
)

// Keeper is a broker that can be asked what became of a message that it stored, as [JetStream] can. It is for those who keep a message until
// it was consumed, because the broker may lose what it acknowledged.
type Keeper interface {
	// PublishPlaced is Publish, and says where the broker keeps the message; a place is positive.
	PublishPlaced(ctx context.Context, topic string, m *broker.Message) (place uint64, err error)
	// Kept says which event is at a place of a topic, by its Event-Id, and since when. The id is empty when the place holds no message of
	// the topic.
	Kept(ctx context.Context, topic string, place uint64) (id string, since time.Time, err error)
	// Holdings says what the broker has.
	Holdings(ctx context.Context) (Holdings, error)
}

// Holdings is what a broker has: its store, and the durable groups by their topics. When the store is made anew, or Last is less than before,
// the broker has lost messages.
type Holdings struct {
	Made   time.Time // the store, by the broker's clock
	Last   uint64    // the place that was given last
	Groups map[string][]Group
}

// Group is a durable group of one topic, as the broker knows it.
type Group struct {
	// Name is the broker's name for it.
	Name string
	// Made is when, by the broker's clock. It doesn't get what was kept before.
	Made time.Time
	// Done is the place up to which every message is done with: handled or a dead letter.
	Done uint64
}

var _ Keeper = (*JetStream)(nil)

// PublishPlaced implements [Keeper].
func (j *JetStream) PublishPlaced(ctx context.Context, topic string, m *broker.Message) (uint64, error) {
	return j.store(ctx, topic, m)
}

// Kept implements [Keeper].
func (j *JetStream) Kept(ctx context.Context, topic string, place uint64) (string, time.Time, error) {
	js := j.current()
	if js == nil {
		return "", time.Time{}, errNotConnected
	}
	stream, err := js.Stream(ctx, j.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return "", time.Time{}, nil
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("find place %d: %w", place, err)
	}
	raw, err := stream.GetMsg(ctx, place)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return "", time.Time{}, nil
	case err != nil:
		return "", time.Time{}, fmt.Errorf("find place %d: %w", place, err)
	case raw.Subject != j.subject(topic):
		return "", time.Time{}, nil
	}
	return raw.Header.Get(HeaderEventID), raw.Time, nil
}

// Holdings implements [Keeper].
func (j *JetStream) Holdings(ctx context.Context) (Holdings, error) {
	js := j.current()
	if js == nil {
		return Holdings{}, errNotConnected
	}
	stream, err := js.Stream(ctx, j.stream()) // asks for its state, too
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = j.restore(ctx, js); err == nil { // the server has lost its store since Connect
			stream, err = js.Stream(ctx, j.stream())
		}
	}
	if err != nil {
		return Holdings{}, fmt.Errorf("ask what NATS has: %w", err)
	}
	info := stream.CachedInfo()
	out := Holdings{Made: info.Created, Last: info.State.LastSeq, Groups: make(map[string][]Group)}
	list := stream.ListConsumers(ctx)
	for c := range list.Info() {
		topic, ours := strings.CutPrefix(c.Config.FilterSubject, j.subject(""))
		if ours && c.Config.Durable != "" {
			out.Groups[topic] = append(out.Groups[topic], Group{Name: c.Name, Made: c.Created, Done: c.AckFloor.Stream})
		}
	}
	if err := list.Err(); err != nil {
		return Holdings{}, fmt.Errorf("ask what NATS has: %w", err)
	}
	return out, nil
}

// RemoveGroup forgets a group's subscription to a topic, and what waits for it: nobody will subscribe with it again. It is no error when there
// is none. Until a group that is no longer used is removed, the broker keeps it, and outboxes keep its events.
func (j *JetStream) RemoveGroup(ctx context.Context, group, topic string) error {
	js := j.current()
	if js == nil {
		return fmt.Errorf("remove group %s: %w", group, errNotConnected)
	}
	err := js.DeleteConsumer(ctx, j.stream(), durable(group, topic))
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("remove group %s of %s: %w", group, topic, err)
	}
	return nil
}
