package eventstest

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

func typedRoundTrip(t *testing.T, connect Connect) {
	b := connect(t)
	ctx := telemetry.Ensure(context.Background())
	type seen struct {
		value, trace string
		ctx          context.Context
	}
	got := make(chan seen, 1)
	s, err := events.Subscribe(b, "a", func(ctx context.Context, m *wrapperspb.StringValue) error {
		got <- seen{m.GetValue(), telemetry.TraceID(ctx), ctx}
		return nil
	})
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	if err := events.Publish(ctx, b, wrapperspb.String("hello")); err != nil {
		t.Fatalf("publish: %v", err)
	}
	v := receive(t, got, "the event")
	if v.value != "hello" || v.trace != telemetry.TraceID(ctx) {
		t.Errorf("got %q in trace %s, want hello in trace %s", v.value, v.trace, telemetry.TraceID(ctx))
	}
	if err := v.ctx.Err(); err != nil {
		t.Errorf("the context ended before unsubscribe: %v", err)
	}
	if err := s.Unsubscribe(); err != nil {
		t.Errorf("unsubscribe: %v", err)
	}
	receive(t, v.ctx.Done(), "the context to end")
}

func poison(t *testing.T, connect Connect) {
	b := connect(t)
	got := make(chan string, 10)
	_, err := events.Subscribe(b, "a", func(_ context.Context, m *wrapperspb.StringValue) error {
		got <- m.GetValue()
		return nil
	})
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	topic := events.Topic(&wrapperspb.StringValue{})
	publish(t, b, topic, &broker.Message{Header: map[string]string{events.HeaderContentType: events.ContentType}, Body: []byte{0xff, 0xff}})
	publish(t, b, topic, &broker.Message{Header: map[string]string{events.HeaderContentType: "text/html"}, Body: nil})
	publish(t, b, topic, &broker.Message{Body: nil})
	if err := events.Publish(context.Background(), b, wrapperspb.String("good")); err != nil {
		t.Fatalf("publish: %v", err)
	}
	if v := receive(t, got, "the good event"); v != "good" {
		t.Errorf("fn got %q", v)
	}
	for _, d := range waitDead(t, b, 3) {
		if d.Attempts != 1 {
			t.Errorf("poison was tried %d times: %s", d.Attempts, d.Reason)
		}
	}
}

func limits(t *testing.T, connect Connect) {
	b, l := connect(t), newLog()
	subscribe(t, b, "shop.test.v1.Made", func(e broker.Event) error {
		l.add(strconv.Itoa(len(e.Message().Body)))
		return nil
	}, broker.Queue("a"))
	if err := b.Publish("shop.test.v1.Made", &broker.Message{Body: make([]byte, events.MaxMessage+1)}); err == nil {
		t.Error("a message above the limit was taken")
	}
	publish(t, b, "shop.test.v1.Made", &broker.Message{Body: make([]byte, events.MaxMessage)})
	if got := l.wait(t, 1); got[0] != strconv.Itoa(events.MaxMessage) {
		t.Errorf("got %s bytes", got[0])
	}
	for _, topic := range []string{"", "a..b", ".a", "a.", "a.*", "a.>", "#", "a b", "é"} {
		if err := b.Publish(topic, message(0)); err == nil {
			t.Errorf("publish took topic %q", topic)
		}
		if s, err := b.Subscribe(topic, func(broker.Event) error { return nil }); err == nil {
			t.Errorf("subscribe took topic %q", topic)
			_ = s.Unsubscribe()
		}
	}
}

func publishContext(t *testing.T, connect Connect) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := connect(t).Publish("shop.test.v1.Made", message(0), broker.PublishContext(ctx))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("publish with an ended context: %v", err)
	}
}
