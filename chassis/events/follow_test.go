package events_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/events/eventstest"
)

func put(t *testing.T, b broker.Broker, topic string, n int) {
	t.Helper()
	m := &broker.Message{Body: []byte(strconv.Itoa(n)), Header: map[string]string{events.HeaderEventID: fmt.Sprint(topic, n)}}
	if err := b.Publish(topic, m); err != nil {
		t.Fatal(err)
	}
}

// heard waits for the next message that a follower was handed, which must be n.
func heard(t *testing.T, from <-chan events.Placed, n int) events.Place {
	t.Helper()
	select {
	case p := <-from:
		if string(p.Message.Body) != strconv.Itoa(n) {
			t.Fatalf("message %s, not %d", p.Message.Body, n)
		}
		return p.Place
	case <-time.After(time.Minute):
		t.Fatalf("message %d never came", n)
	}
	return events.Place{}
}

func follow(t *testing.T, f events.Follower, topic string, after events.Place) <-chan events.Placed {
	t.Helper()
	out := make(chan events.Placed, 1000)
	stop, err := f.Follow(t.Context(), topic, after, func(p events.Placed) { out <- p })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return out
}

func replayed(t *testing.T, f events.Follower, topic string, after, upTo events.Place) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := ""
	if err := f.Replay(ctx, topic, after, upTo, func(p events.Placed) error {
		out += string(p.Message.Body) + " "
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every follower gets what comes after it began, whatever the others do, and what is kept may be read again from any place.
func TestFollowJetStream(t *testing.T) {
	b := openJetStream(t, embedded(t).URL(), namespace(t), events.Delivery{})
	put(t, b, topic, 0)
	first, second := follow(t, b, topic, events.Place{}), follow(t, b, topic, events.Place{})
	var places []events.Place
	for n := 1; n < 6; n++ {
		put(t, b, "other.Topic", n)
		put(t, b, topic, n)
		places = append(places, heard(t, first, n))
		heard(t, second, n)
	}
	third := follow(t, b, topic, places[1])
	for n := 3; n < 6; n++ {
		if at := heard(t, third, n); at != places[n-1] {
			t.Errorf("message %d is at %v, and was at %v", n, at, places[n-1])
		}
	}
	_, last, err := b.Span(t.Context())
	if err != nil || last != places[4] {
		t.Errorf("the last is %v, not %v: %v", last, places[4], err)
	}
	for upTo, want := range map[events.Place]string{last: "3 4 5 ", places[2]: "3 ", places[1]: "", {Store: last.Store, Seq: 1 << 40}: "3 4 5 "} {
		if got := replayed(t, b, topic, places[1], upTo); got != want {
			t.Errorf("up to %v: %q, not %q", upTo, got, want)
		}
	}
	if got := replayed(t, b, "nobody.Spoke", events.Place{Store: last.Store}, last); got != "" {
		t.Errorf("a silent topic said %q", got)
	}
	replay := &broker.Message{Header: map[string]string{events.HeaderReplay: "some-group"}}
	if err := b.Publish(topic, replay); err != nil {
		t.Fatal(err)
	}
	put(t, b, topic, 6)
	heard(t, first, 6) // and not the replay, which is for a group alone
}

func TestAFollowerOutlivesItsConnection(t *testing.T) {
	p, url := relayed(t, embedded(t).URL())
	b := openJetStream(t, url, namespace(t), events.Delivery{})
	in := follow(t, b, topic, events.Place{})
	for n := range 6 {
		put(t, b, topic, n)
		heard(t, in, n)
		if n%3 == 1 {
			p.cut(true)
			time.AfterFunc(300*time.Millisecond, func() { p.cut(false) })
		}
	}
}

// A store that was lost is another one: a follower goes on at its beginning.
func TestAFollowerOutlivesTheStore(t *testing.T) {
	server, ns := embedded(t), namespace(t)
	b := openJetStream(t, server.URL(), ns, events.Delivery{})
	in := follow(t, b, topic, events.Place{})
	put(t, b, topic, 1)
	before := heard(t, in, 1)
	c, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), ns+"_EVENTS"); err != nil {
		t.Fatal(err)
	}
	put(t, b, topic, 2)
	after := heard(t, in, 2)
	if after.Store == before.Store || after.Follows(before) {
		t.Errorf("%v, then %v in another store", before, after)
	}
}

// RabbitMQ has no past: a follower gets what comes.
func TestFollowRabbitMQ(t *testing.T) {
	ns := namespace(t)
	dropQueues(t, ns, eventstest.Delivery())
	b := openRabbit(t, rabbitURL(), ns, eventstest.Delivery())
	put(t, b, topic, 0)
	first, second := follow(t, b, topic, events.Place{}), follow(t, b, topic, events.Place{Store: 1, Seq: 7})
	for n := 1; n < 4; n++ {
		put(t, b, topic, n)
		if at := heard(t, first, n); !at.IsZero() {
			t.Errorf("message %d is at %v", n, at)
		}
		heard(t, second, n)
	}
}

func TestPlacesAreText(t *testing.T) {
	p := events.Place{Store: 1_780_000_000_000_000, Seq: 12345}
	if got, err := events.ParsePlace(p.String()); err != nil || got != p {
		t.Errorf("%v is read as %v, %v", p, got, err)
	}
	for _, bad := range []string{"", "1", ".", "1.", ".1", "-1.1", "0.1", "1.01", "1.+1", "1.1.1", "A.1", "zzzzzzzzzzzzzzzzzzz.1"} {
		if got, err := events.ParsePlace(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func ExampleFollower() {
	var b events.Follower // a JetStream, or a RabbitMQ
	listen := func(ctx context.Context, place string) error {
		after, err := events.ParsePlace(place) // where the listener was when it left
		if err != nil {
			return err
		}
		stop, err := b.Follow(ctx, "shop.order.v1.OrderPaid", after, func(p events.Placed) {
			fmt.Println(p.Place, p.Message.Header[events.HeaderEventID])
		})
		if err != nil {
			return err
		}
		<-ctx.Done()
		return stop()
	}
	_ = listen
}
