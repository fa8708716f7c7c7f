package events_test

import (
	"testing"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/events/eventstest"
)

// BenchmarkPublish says what it costs to have each message on disk before Publish returns.
func BenchmarkPublish(b *testing.B) {
	for name, noSync := range map[string]bool{"sync": false, "nosync": true} {
		b.Run(name, func(b *testing.B) {
			s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: b.TempDir(), NoSync: noSync})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Shutdown()
			j, err := events.NewJetStream(events.JetStreamConfig{URL: s.URL(), Delivery: eventstest.Delivery()})
			if err != nil {
				b.Fatal(err)
			}
			if err := j.Connect(); err != nil {
				b.Fatal(err)
			}
			defer func() { _ = j.Disconnect() }()
			body := make([]byte, 500)
			for b.Loop() {
				if err := j.Publish(topic, &broker.Message{Body: body}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
