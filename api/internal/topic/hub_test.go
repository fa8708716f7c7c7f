package topic_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/api/internal/topic"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/problem"
)

const name = "shop.test.v1.Made"

// hub is one on a NATS of its own, and says how many topics it follows.
func hub(t *testing.T) (*topic.Hub, *events.JetStream, *atomic.Int64) {
	t.Helper()
	s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := events.NewJetStream(events.JetStreamConfig{URL: s.URL(), MaxBytes: 32 << 20})
	if err == nil {
		err = b.Connect()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Disconnect() })
	followed := &atomic.Int64{}
	return &topic.Hub{
		Follower: b, Log: slog.New(slog.DiscardHandler), Followed: func(delta int) { followed.Add(int64(delta)) },
		Encode: func(_ string, m *broker.Message) ([]byte, error) {
			if string(m.Body) == "poison" {
				return nil, errors.New("no")
			}
			return m.Body, nil
		},
	}, b, followed
}

func put(t *testing.T, b broker.Broker, text string) {
	t.Helper()
	if err := b.Publish(name, &broker.Message{Body: []byte(text)}); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, h *topic.Hub, after events.Place) *topic.Listener {
	t.Helper()
	l, err := h.Listen(t.Context(), name, after, "")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A listener that doesn't read is dropped; it costs the others nothing, and can come back for what it missed.
func TestASlowListener(t *testing.T) {
	h, b, followed := hub(t)
	slow, quick := listen(t, h, events.Place{}), listen(t, h, events.Place{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const n = 300 // more than a buffer
	got, ended := make(chan topic.Event, 2*n), make(chan error, 1)
	go func() {
		ended <- quick.Run(ctx, func(e topic.Event) error {
			got <- e
			return nil
		})
	}()
	for i := range n {
		put(t, b, fmt.Sprint(i))
	}
	put(t, b, "poison") // is passed over
	put(t, b, "last")
	var first events.Place
	for i := range n {
		e := <-got
		if string(e.JSON) != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, e.JSON)
		}
		if i == 0 {
			first = e.Place
		}
	}
	if e := <-got; string(e.JSON) != "last" {
		t.Errorf("the last is %s", e.JSON)
	}
	err := slow.Run(ctx, func(topic.Event) error { return nil })
	for err == nil {
		err = slow.Run(ctx, func(topic.Event) error { return nil })
	}
	if p := problem.From(err); p.Reason != topic.ReasonSlow {
		t.Errorf("the slow one ended with %v", err)
	}
	slow.Close()
	back := listen(t, h, first)
	count := 0
	stop := errors.New("enough")
	if err := back.Run(ctx, func(e topic.Event) error {
		if count++; string(e.JSON) == "last" {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) || count != n {
		t.Errorf("%d events after the first, and %v", count, err)
	}
	back.Close()
	if followed.Load() != 1 {
		t.Errorf("%d topics are followed", followed.Load())
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	quick.Close()
	if followed.Load() != 0 {
		t.Errorf("%d topics are followed by nobody", followed.Load())
	}
}
