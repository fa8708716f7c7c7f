// Package topic passes the events of a broker's topics on to any number of listeners. A topic is followed once in the process, and only while
// somebody listens to it. A listener that comes back with the place that it has got to first gets what it missed, as far as the broker kept it.
//
// A listener has a buffer of 256 events, which all listeners share the bytes of. One whose buffer is full is dropped: it comes back with its place.
package topic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Reasons of a listener's end.
const (
	ReasonSlow = "SLOW_CLIENT"        // RESOURCE_EXHAUSTED: it reads more slowly than events come
	ReasonAway = "BROKER_UNAVAILABLE" // UNAVAILABLE: the broker doesn't answer
)

// keyHeader is the aggregate's id of an event that went through an outbox (chassis/outbox).
const keyHeader = "Event-Key"

const (
	buffer   = 256              // events of a listener
	openWait = 10 * time.Second // for the broker, when a topic is listened to for the first time
)

// Event is an event as a listener gets it.
type Event struct {
	// Place is what a listener comes back with; zero when the broker keeps nothing.
	Place events.Place
	// ID is the event's own, and Key its aggregate's; either may be empty.
	ID, Key string
	// JSON is the event, on one line. It is shared.
	JSON []byte
	// Gap says that events before this one may be lost to the listener: the broker doesn't keep them any more. Nothing else is set then.
	Gap bool
}

// Hub follows topics. It is safe for concurrent use.
type Hub struct {
	// Follower is the broker.
	Follower events.Follower
	// Encode writes an event's body as JSON. What it can't write is passed over, and it has said so.
	Encode func(topic string, m *broker.Message) ([]byte, error)
	// Observe is told of topics that begin and end to be followed, and of listeners; any may be nil.
	Followed, Listening func(delta int)
	Log                 *slog.Logger

	mu    sync.Mutex
	feeds map[string]*feed
}

// feed is one topic that is followed.
type feed struct {
	hub   *Hub
	topic string
	users int // under the hub's lock
	ready chan struct{}
	err   error // after ready
	stop  func() error

	mu        sync.Mutex
	at        events.Place // that was passed on last
	listeners map[*Listener]struct{}
}

// Listener gets the events of one topic.
type Listener struct {
	feed *feed
	key  string
	from events.Place // where it has got to
	back bool         // it has come back
	in   chan Event
	over chan struct{} // closed when in is full
}

// Listen begins. after is the place that the listener has got to, zero for from now on; key lets only the events of one aggregate through, empty all.
// Close ends it. Its errors are problems.
func (h *Hub) Listen(ctx context.Context, topic string, after events.Place, key string) (*Listener, error) {
	f := h.feed(topic)
	select {
	case <-f.ready:
	case <-ctx.Done():
		h.leave(f)
		return nil, problem.From(ctx.Err())
	}
	if f.err != nil {
		h.leave(f)
		return nil, problem.Unavailable(ReasonAway, "the broker doesn't answer").Because(f.err)
	}
	l := &Listener{feed: f, key: key, from: after, back: !after.IsZero(), in: make(chan Event, buffer), over: make(chan struct{})}
	if !l.back {
		l.attach()
	}
	h.count(h.Listening, 1)
	return l, nil
}

func (h *Hub) count(f func(int), delta int) {
	if f != nil {
		f(delta)
	}
}

// feed finds a topic's feed or begins it, and counts a user of it.
func (h *Hub) feed(topic string) *feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.feeds == nil {
		h.feeds = map[string]*feed{}
	}
	f := h.feeds[topic]
	if f == nil {
		f = &feed{hub: h, topic: topic, ready: make(chan struct{}), listeners: map[*Listener]struct{}{}}
		h.feeds[topic] = f
		go f.begin()
	}
	f.users++
	return f
}

// begin follows the topic from now on.
func (f *feed) begin() {
	defer close(f.ready)
	ctx, cancel := context.WithTimeout(context.Background(), openWait)
	defer cancel()
	_, last, err := f.hub.Follower.Span(ctx)
	if err == nil {
		f.at = last
		f.stop, err = f.hub.Follower.Follow(context.WithoutCancel(ctx), f.topic, last, f.pass)
	}
	if err != nil {
		f.err = err
		f.hub.forget(f) // who comes next tries again
		return
	}
	f.hub.count(f.hub.Followed, 1)
}

func (h *Hub) forget(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.feeds[f.topic] == f {
		delete(h.feeds, f.topic)
	}
}

// leave ends a feed with its last user.
func (h *Hub) leave(f *feed) {
	h.mu.Lock()
	f.users--
	last := f.users == 0
	if last && h.feeds[f.topic] == f {
		delete(h.feeds, f.topic)
	}
	h.mu.Unlock()
	if !last {
		return
	}
	<-f.ready
	if f.stop == nil {
		return
	}
	if err := f.stop(); err != nil {
		h.Log.Warn("a topic can't be left", "topic", f.topic, "error", err)
	}
	h.count(h.Followed, -1)
}

// event makes what a listener gets; ok is false when it can't be made.
func (f *feed) event(p events.Placed) (e Event, ok bool) {
	b, err := f.hub.Encode(f.topic, p.Message)
	if err != nil {
		return Event{}, false
	}
	return Event{Place: p.Place, ID: p.Message.Header[events.HeaderEventID], Key: p.Message.Header[keyHeader], JSON: b}, true
}

// pass gives an event to all who are attached.
func (f *feed) pass(p events.Placed) {
	e, ok := f.event(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = p.Place
	if !ok {
		return
	}
	for l := range f.listeners {
		if l.key != "" && l.key != e.Key {
			continue
		}
		select {
		case l.in <- e:
		default:
			delete(f.listeners, l)
			close(l.over)
		}
	}
}

// attach makes a listener get what comes from now on.
func (l *Listener) attach() {
	l.feed.mu.Lock()
	defer l.feed.mu.Unlock()
	l.feed.listeners[l] = struct{}{}
}

// caughtUp attaches a listener that has all there is; else it says up to where there is more.
func (l *Listener) caughtUp() (upTo events.Place, yes bool) {
	l.feed.mu.Lock()
	defer l.feed.mu.Unlock()
	if l.feed.at.Follows(l.from) {
		return l.feed.at, false
	}
	l.feed.listeners[l] = struct{}{}
	return events.Place{}, true
}

// Close ends a listener; it is called once, after Run.
func (l *Listener) Close() {
	l.feed.mu.Lock()
	delete(l.feed.listeners, l)
	l.feed.mu.Unlock()
	l.feed.hub.count(l.feed.hub.Listening, -1)
	l.feed.hub.leave(l.feed)
}

// Run gives send every event, one at a time and in order, until ctx ends or send fails, whose errors it returns; else a problem.
func (l *Listener) Run(ctx context.Context, send func(Event) error) error {
	if l.back {
		if err := l.catchUp(ctx, send); err != nil {
			return err
		}
	}
	for {
		select {
		case e := <-l.in:
			if err := send(e); err != nil {
				return err
			}
		case <-l.over:
			return problem.ResourceExhausted(ReasonSlow, "more than %d events wait: read faster", buffer)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp sends what the listener missed. It ends attached, with nothing missed in between.
func (l *Listener) catchUp(ctx context.Context, send func(Event) error) error {
	first, last, err := l.feed.hub.Follower.Span(ctx)
	if err != nil {
		return l.away(ctx, err)
	}
	switch {
	case last.IsZero(): // this broker keeps nothing
		l.from = last
		if err := send(Event{Gap: true}); err != nil {
			return err
		}
	case l.from.Store != last.Store, l.from.Seq > last.Seq, l.from.Seq+1 < first.Seq:
		l.from = events.Place{Store: last.Store, Seq: first.Seq - 1}
		if err := send(Event{Gap: true}); err != nil {
			return err
		}
	}
	for {
		upTo, yes := l.caughtUp()
		if yes {
			return nil
		}
		var gone sending
		err := l.feed.hub.Follower.Replay(ctx, l.feed.topic, l.from, upTo, func(p events.Placed) error {
			e, ok := l.feed.event(p)
			if !ok || l.key != "" && l.key != e.Key {
				return nil
			}
			if err := send(e); err != nil {
				return sending{err}
			}
			return nil
		})
		switch {
		case errors.As(err, &gone):
			return gone.error
		case err != nil:
			return l.away(ctx, err)
		}
		l.from = upTo
	}
}

// sending is an error of the listener's, not of the broker's.
type sending struct{ error }

func (l *Listener) away(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return problem.Unavailable(ReasonAway, "the broker doesn't answer").Because(fmt.Errorf("catch up: %w", err))
}
