// Package eventstest is the conformance suite of brokers that keep the promises of package events: run it on yours.
package eventstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
)

// Broker is what the suite runs on.
type Broker interface {
	broker.Broker
	events.DeadLetterBox
	RemoveGroup(ctx context.Context, group, topic string) error
}

// Delivery is what the brokers under test must be configured with, so that failures take milliseconds.
func Delivery() events.Delivery {
	return events.Delivery{MaxDeliver: 4, Backoff: []time.Duration{20 * time.Millisecond, 40 * time.Millisecond}, AckWait: 2 * time.Second}
}

// Connect returns a new connected broker, as another process would have it. Brokers of one test share their messages;
// those of different tests do not disturb each other. The test ends their life.
type Connect func(t *testing.T) Broker

// patience is how long the suite waits for what must come; it is long because machines under load are slow.
const patience = 30 * time.Second

// Run runs every test. begin is called once for each.
func Run(t *testing.T, begin func(t *testing.T) Connect) {
	tests := []struct {
		name string
		run  func(t *testing.T, connect Connect)
	}{
		{"one delivery for each group", eachGroup},
		{"a group shares messages", competing},
		{"an error brings the message again", redelivery},
		{"a panic brings the message again", panicking},
		{"too many errors make a dead letter", deadLetter},
		{"a permanent error makes a dead letter at once", permanent},
		{"later is no failure", later},
		{"later counts when nobody watches", laterCounts},
		{"a replay is for its group alone", replay},
		{"a dropped dead letter is gone", drop},
		{"a removed group forgets", removeGroup},
		{"a group outlives its subscribers", durable},
		{"without a group there is no memory", ephemeral},
		{"acknowledging by hand", manualAck},
		{"unsubscribe waits for the handler", unsubscribeWaits},
		{"typed events carry id and trace", typedRoundTrip},
		{"poison is a dead letter at once", poison},
		{"sizes and topics have limits", limits},
		{"publish heeds its context", publishContext},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, begin(t)) })
	}
}

// closing is the message that tells that everything published before it has been handled: one handler at a time, in order.
const closing = "closing"

func eachGroup(t *testing.T, connect Connect) {
	const n = 20
	b := connect(t)
	logs := map[string]*log{"a": newLog(), "b": newLog()}
	for group, l := range logs {
		subscribe(t, b, "shop.test.v1.Made", func(e broker.Event) error {
			if got := e.Message().Header["lower-case"]; got != "kept" {
				t.Errorf("header lower-case is %q", got)
			}
			if e.Topic() != "shop.test.v1.Made" {
				t.Errorf("topic is %q", e.Topic())
			}
			l.add(string(e.Message().Body))
			return nil
		}, broker.Queue(group))
	}
	subscribe(t, b, "shop.test.v1.Other", func(e broker.Event) error {
		t.Errorf("a message came to the wrong topic: %s", e.Message().Body)
		return nil
	}, broker.Queue("a"))
	for i := range n {
		publish(t, b, "shop.test.v1.Made", message(i))
	}
	publish(t, b, "shop.test.v1.Made", &broker.Message{Body: []byte(closing), Header: map[string]string{"lower-case": "kept"}})
	for group, l := range logs {
		got := l.wait(t, n+1)
		if got[n] != closing {
			t.Errorf("group %s: the last delivery is %q", group, got[n])
		}
		once(t, got[:n], n)
	}
}

func competing(t *testing.T, connect Connect) {
	const n = 40
	all := newLog()
	var both sync.WaitGroup // neither goes on before the other has one
	both.Add(2)
	for range 2 {
		var first sync.Once
		subscribe(t, connect(t), "shop.test.v1.Made", func(e broker.Event) error {
			first.Do(both.Done)
			both.Wait()
			all.add(string(e.Message().Body))
			return nil
		}, broker.Queue("workers"))
	}
	b := connect(t)
	for i := range n {
		publish(t, b, "shop.test.v1.Made", message(i))
	}
	once(t, all.wait(t, n), n)
}

func redelivery(t *testing.T, connect Connect) {
	b, l := connect(t), newLog()
	subscribe(t, b, "shop.test.v1.Made", func(e broker.Event) error {
		if n := l.add(fmt.Sprintf("%s %s", e.Message().Header[events.HeaderEventID], e.Message().Body)); n < 3 {
			return errors.New("not yet")
		}
		return nil
	}, broker.Queue("a"))
	m := message(0)
	publish(t, b, "shop.test.v1.Made", m)
	for i, got := range l.wait(t, 3) {
		if want := m.Header[events.HeaderEventID] + " message 0"; got != want {
			t.Errorf("delivery %d is %q, want %q", i+1, got, want)
		}
	}
	noDead(t, b)
}

func panicking(t *testing.T, connect Connect) {
	b, l := connect(t), newLog()
	subscribe(t, b, "shop.test.v1.Made", func(broker.Event) error {
		if l.add("") == 1 {
			panic("on purpose")
		}
		return nil
	}, broker.Queue("a"))
	publish(t, b, "shop.test.v1.Made", message(0))
	l.wait(t, 2)
	noDead(t, b)
}

func deadLetter(t *testing.T, connect Connect) {
	b, l := connect(t), newLog()
	h := func(e broker.Event) error {
		l.add(string(e.Message().Body))
		if string(e.Message().Body) == closing {
			return nil
		}
		return errors.New("the stock\nis gone")
	}
	subscribe(t, b, "shop.test.v1.Made", h, broker.Queue("a"))
	m := message(7)
	publish(t, b, "shop.test.v1.Made", m)
	d := waitDead(t, b, 1)[0]
	if d.Topic != "shop.test.v1.Made" || d.Group != "a" || d.Reason != "the stock is gone" || d.Attempts != Delivery().MaxDeliver {
		t.Errorf("dead letter of %s, %s after %d attempts because %q", d.Topic, d.Group, d.Attempts, d.Reason)
	}
	if age := time.Since(d.Time); age < -time.Minute || age > time.Minute {
		t.Errorf("it died at %s", d.Time)
	}
	if !bytes.Equal(d.Message.Body, m.Body) || d.Message.Header[events.HeaderEventID] != m.Header[events.HeaderEventID] {
		t.Errorf("the dead letter holds %q %v", d.Message.Body, d.Message.Header)
	}
	publish(t, b, "shop.test.v1.Made", &broker.Message{Body: []byte(closing)})
	if got := l.wait(t, Delivery().MaxDeliver+1); got[len(got)-1] != closing {
		t.Errorf("deliveries: %q, want %d and then the closing one", got, Delivery().MaxDeliver)
	}
}

func permanent(t *testing.T, connect Connect) {
	b, l := connect(t), newLog()
	subscribe(t, b, "shop.test.v1.Made", func(e broker.Event) error {
		l.add(string(e.Message().Body))
		if string(e.Message().Body) == closing {
			return nil
		}
		return fmt.Errorf("handle: %w", events.Permanent(errors.New("no such thing")))
	}, broker.Queue("a"))
	publish(t, b, "shop.test.v1.Made", message(0))
	if d := waitDead(t, b, 1)[0]; d.Attempts != 1 {
		t.Errorf("it took %d attempts, want 1", d.Attempts)
	}
	publish(t, b, "shop.test.v1.Made", &broker.Message{Body: []byte(closing)})
	if got := l.wait(t, 2); got[1] != closing {
		t.Errorf("deliveries: %q", got)
	}
}

func durable(t *testing.T, connect Connect) {
	const n = 5
	first := connect(t)
	s := subscribe(t, first, "shop.test.v1.Made", func(e broker.Event) error {
		return fmt.Errorf("not to be delivered here: %s", e.Message().Body)
	}, broker.Queue("a"))
	if err := s.Unsubscribe(); err != nil {
		t.Fatalf("unsubscribe: %v", err)
	}
	if err := first.Disconnect(); err != nil {
		t.Fatalf("disconnect: %v", err)
	}
	second := connect(t)
	for i := range n {
		publish(t, second, "shop.test.v1.Made", message(i))
	}
	l := newLog()
	subscribe(t, connect(t), "shop.test.v1.Made", func(e broker.Event) error {
		l.add(string(e.Message().Body))
		return nil
	}, broker.Queue("a"))
	once(t, l.wait(t, n), n)
}

func ephemeral(t *testing.T, connect Connect) {
	b := connect(t)
	publish(t, b, "shop.test.v1.Made", message(0))
	logs := []*log{newLog(), newLog()}
	for _, l := range logs {
		subscribe(t, connect(t), "shop.test.v1.Made", func(e broker.Event) error {
			l.add(string(e.Message().Body))
			return nil
		})
	}
	publish(t, b, "shop.test.v1.Made", message(1))
	for _, l := range logs {
		if got := l.wait(t, 1); got[0] != "message 1" {
			t.Errorf("deliveries: %q", got)
		}
	}
}

func manualAck(t *testing.T, connect Connect) {
	first, l := connect(t), newLog()
	s := subscribe(t, first, "shop.test.v1.Made", func(e broker.Event) error {
		defer l.add(string(e.Message().Body))
		if string(e.Message().Body) == "message 0" {
			return e.Ack()
		}
		return nil // no word: it must come again
	}, broker.Queue("a"), broker.DisableAutoAck())
	publish(t, first, "shop.test.v1.Made", message(0))
	l.wait(t, 1)
	publish(t, first, "shop.test.v1.Made", message(1))
	l.wait(t, 2)
	if err := s.Unsubscribe(); err != nil {
		t.Fatalf("unsubscribe: %v", err)
	}
	again := newLog()
	subscribe(t, connect(t), "shop.test.v1.Made", func(e broker.Event) error {
		again.add(string(e.Message().Body))
		return nil
	}, broker.Queue("a"))
	if got := again.wait(t, 1); got[0] != "message 1" {
		t.Errorf("came again: %q, want message 1 alone", got)
	}
}

func unsubscribeWaits(t *testing.T, connect Connect) {
	b := connect(t)
	started, release, finished := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := subscribe(t, b, "shop.test.v1.Made", func(broker.Event) error {
		close(started) // a second delivery would panic here
		<-release
		close(finished)
		return nil
	}, broker.Queue("a"))
	publish(t, b, "shop.test.v1.Made", message(0))
	receive(t, started, "the handler to start")
	returned := make(chan error, 1)
	go func() { returned <- s.Unsubscribe() }()
	select {
	case err := <-returned:
		t.Fatalf("unsubscribe returned while the handler ran: %v", err)
	case <-time.After(200 * time.Millisecond): // long enough to catch it in the act
	}
	publish(t, b, "shop.test.v1.Made", message(1))
	close(release)
	if err := receive(t, returned, "unsubscribe to return"); err != nil {
		t.Errorf("unsubscribe: %v", err)
	}
	select {
	case <-finished:
	default:
		t.Error("unsubscribe returned before the handler did")
	}
	if err := s.Unsubscribe(); err != nil {
		t.Errorf("unsubscribe again: %v", err)
	}
	l := newLog()
	subscribe(t, b, "shop.test.v1.Made", func(e broker.Event) error {
		l.add(string(e.Message().Body))
		return nil
	}, broker.Queue("a"))
	if got := l.wait(t, 1); got[0] != "message 1" {
		t.Errorf("after unsubscribe came %q, want message 1: what was handled must not come again", got)
	}
}
