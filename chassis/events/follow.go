package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go-micro.dev/v4/broker"
)

// Follower is a broker whose topics can be read without a group and without a trace: every follower gets every message of a topic in the order
// of their places, nothing is acknowledged, and nobody else notices. It is for those who pass events on to listeners, as a gateway does. A message
// may come twice when its publisher had to send it again: its Event-Id tells. [JetStream] keeps what was published, so that a follower may
// begin at a place in the past; [RabbitMQ] doesn't: its places are all the zero Place.
type Follower interface {
	// Span says which places of the store hold messages now, of whatever topic: from first to last. Both are zero when nothing is kept.
	Span(ctx context.Context) (first, last Place, err error)
	// Follow hands fn every message of a topic after a place, one at a time, until stop is called, which waits for fn. It returns when nothing
	// that is published from then on can be missed. A lost connection is made again for ever, and the follower goes on where it was; when the
	// store was lost it goes on at its beginning. fn must not block for long.
	Follow(ctx context.Context, topic string, after Place, fn func(Placed)) (stop func() error, err error)
	// Replay hands fn the messages of a topic that are kept after one place up to another, one at a time, and returns when there is no further
	// one, when fn fails, with its error, or when ctx ends.
	Replay(ctx context.Context, topic string, after, upTo Place, fn func(Placed) error) error
}

// Placed is a message and where it is kept.
type Placed struct {
	Place   Place
	Message *broker.Message
}

// Place is where a store keeps a message. Places of one store are in order; the zero Place is before all of them, or no place.
type Place struct {
	// Store tells stores apart: when it was made, in microseconds. A store that was lost and made anew is another one.
	Store int64
	// Seq is the number of the message in the store, from 1.
	Seq uint64
}

// IsZero says that it is no place.
func (p Place) IsZero() bool { return p == Place{} }

// Follows says that p is behind o in the same store.
func (p Place) Follows(o Place) bool { return p.Store == o.Store && p.Seq > o.Seq }

// String is what ParsePlace reads: two numbers in base 36, "m2k8x1q0z.7f"; empty for the zero Place.
func (p Place) String() string {
	if p.IsZero() {
		return ""
	}
	return strconv.FormatInt(p.Store, 36) + "." + strconv.FormatUint(p.Seq, 36)
}

// ParsePlace reads what String wrote.
func ParsePlace(text string) (Place, error) {
	store, seq, ok := strings.Cut(text, ".")
	s, err := strconv.ParseInt(store, 36, 64)
	n, err2 := strconv.ParseUint(seq, 36, 64)
	p := Place{Store: s, Seq: n}
	if !ok || err != nil || err2 != nil || s <= 0 || p.String() != text { // one spelling of each
		return Place{}, errors.New("the place is not one that a broker gave")
	}
	return p, nil
}

// forEverybody says that a message is no replay of a dead letter, which is for one group.
func forEverybody(m *broker.Message) bool { return m.Header[HeaderReplay] == "" }

var _ Follower = (*RabbitMQ)(nil)

// Span implements [Follower]: nothing is kept for followers.
func (r *RabbitMQ) Span(context.Context) (first, last Place, err error) { return Place{}, Place{}, nil }

// Follow implements [Follower], from now on, whatever after says. What is published while the connection is lost is missed.
func (r *RabbitMQ) Follow(ctx context.Context, topic string, _ Place, fn func(Placed)) (stop func() error, err error) {
	s, err := r.Subscribe(topic, func(e broker.Event) error {
		if m := e.Message(); ctx.Err() == nil && forEverybody(m) {
			fn(Placed{Message: m})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", topic, err)
	}
	return s.Unsubscribe, nil
}

// Replay implements [Follower]: there is nothing to replay.
func (r *RabbitMQ) Replay(context.Context, string, Place, Place, func(Placed) error) error {
	return nil
}

// storeOf is the Store of places in a stream that was made then.
func storeOf(made time.Time) int64 { return made.UnixMicro() }
