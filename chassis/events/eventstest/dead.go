package eventstest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
)

// A message may wait more often than it may fail, and then fail as often as any other.
func later(t *testing.T, connect Connect) {
	b, l := connect(t), newLog()
	waits := Delivery().MaxDeliver + 2
	dead := make(chan string, 1)
	subscribe(t, b, "shop.test.v1.Made", func(broker.Event) error {
		if n := l.add(""); n <= waits {
			return events.Later(errors.New("too early"))
		}
		return errors.New("broken")
	}, broker.Queue("a"), events.Watching(events.Watch{
		Uncounted: func(*broker.Message) int { return min(len(l.all()), waits) },
		Dead:      func(m *broker.Message, reason error) { dead <- string(m.Body) + ": " + reason.Error() },
	}))
	publish(t, b, "shop.test.v1.Made", message(0))
	d := waitDead(t, b, 1)[0]
	if d.Attempts != Delivery().MaxDeliver || d.Reason != "broken" {
		t.Errorf("dead after %d attempts because %q", d.Attempts, d.Reason)
	}
	if got, want := len(l.all()), waits+Delivery().MaxDeliver; got != want {
		t.Errorf("%d deliveries, want %d", got, want)
	}
	if got := receive(t, dead, "word of the dead letter"); got != "message 0: broken" {
		t.Errorf("told %q", got)
	}
}

// Without a watch, Later alone can't keep a message going for ever.
func laterCounts(t *testing.T, connect Connect) {
	b := connect(t)
	subscribe(t, b, "shop.test.v1.Made", func(broker.Event) error { return events.Later(errors.New("too early")) }, broker.Queue("a"))
	publish(t, b, "shop.test.v1.Made", message(0))
	if d := waitDead(t, b, 1)[0]; !strings.Contains(d.Reason, "never finished") {
		t.Errorf("dead because %q", d.Reason)
	}
}

func replay(t *testing.T, connect Connect) {
	b, other, l := connect(t), newLog(), newLog()
	mended := make(chan struct{})
	topic := "shop.test.v1.Made"
	subscribe(t, b, topic, func(e broker.Event) error { other.add(string(e.Message().Body)); return nil }, broker.Queue("b"))
	subscribe(t, b, topic, func(e broker.Event) error {
		l.add(string(e.Message().Body) + " " + e.Message().Header[events.HeaderReplay])
		select {
		case <-mended:
			return nil
		default:
			return events.Permanent(errors.New("broken"))
		}
	}, broker.Queue("a"))
	for i := range 2 {
		publish(t, b, topic, message(i))
	}
	list := waitDead(t, b, 2)
	if list[0].ID == list[1].ID {
		t.Errorf("two dead letters have the id %q", list[0].ID)
	}
	close(mended)
	eventually(t, "the replay", func() bool {
		n, err := b.ReplayDead(context.Background(), func(d events.DeadLetter) bool { return d.ID == list[1].ID })
		if err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	if got := l.wait(t, 3); got[2] != "message 1 a" {
		t.Errorf("replayed %q", got[2])
	}
	if left := waitDead(t, b, 1); left[0].ID != list[0].ID {
		t.Errorf("dead letter %q is left, want %q", left[0].ID, list[0].ID)
	}
	publish(t, b, topic, &broker.Message{Body: []byte(closing)})
	if got := other.wait(t, 3); len(got) != 3 || got[2] != closing {
		t.Errorf("another group got %q", got)
	}
}

func drop(t *testing.T, connect Connect) {
	b := connect(t)
	subscribe(t, b, "shop.test.v1.Made", func(broker.Event) error { return events.Permanent(errors.New("broken")) }, broker.Queue("a"))
	for i := range 3 {
		publish(t, b, "shop.test.v1.Made", message(i))
	}
	list := waitDead(t, b, 3)
	eventually(t, "the drop", func() bool {
		n, err := b.DropDead(context.Background(), func(d events.DeadLetter) bool { return d.ID == list[1].ID })
		if err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	if left := waitDead(t, b, 2); left[0].ID != list[0].ID || left[1].ID != list[2].ID {
		t.Errorf("left are %q and %q", left[0].ID, left[1].ID)
	}
}

func removeGroup(t *testing.T, connect Connect) {
	b, l, topic := connect(t), newLog(), "shop.test.v1.Made"
	s := subscribe(t, b, topic, func(broker.Event) error { return nil }, broker.Queue("a"))
	if err := s.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	publish(t, b, topic, message(0))
	for range 2 { // the second time there is none
		if err := b.RemoveGroup(context.Background(), "a", topic); err != nil {
			t.Fatal(err)
		}
	}
	subscribe(t, b, topic, func(e broker.Event) error { l.add(string(e.Message().Body)); return nil }, broker.Queue("a"))
	publish(t, b, topic, message(1))
	if got := l.wait(t, 1); got[0] != "message 1" {
		t.Errorf("the new group got %q", got)
	}
}
