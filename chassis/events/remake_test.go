package events_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
)

// An operator deletes the stream while somebody looks at it all the time. NATS forgets a stream before it removes its files: one that is made
// in between loses them, and stores nothing any more.
func TestADeletedStreamIsMadeAnew(t *testing.T) {
	t.Parallel()
	s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := events.NewJetStream(events.JetStreamConfig{URL: s.URL(), Namespace: "remade", MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Disconnect() })
	conn, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ctx.Err() == nil {
				_, _ = b.Holdings(ctx) // an error is what this is about
			}
		}()
		deleted := time.Now()
		if err := js.DeleteStream(t.Context(), "remade_EVENTS"); err != nil {
			t.Fatal(err)
		}
		if err := b.Publish("t", &broker.Message{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		stop()
		<-ended
		has, err := b.Holdings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := has.Made.Sub(deleted); d < time.Second || has.Last < 1 {
			t.Errorf("made anew %s after it was deleted, with %d messages; want a second and one", d, has.Last)
		}
	}
}
