package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/events/eventstest"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/outbox/outboxtest"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
)

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func namespace() string {
	return "test-" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
}

func run(t *testing.T, begin func(t *testing.T) outboxtest.Setup) {
	t.Helper()
	outboxtest.Run[*catalogv1.ProductChanged, *inventoryv1.StockChanged](t, begin)
}

func onBoth(t *testing.T, fn func(t *testing.T, db *sql.DB)) {
	t.Helper()
	datatest.Each(t, "shop", nil, fn, outbox.Schema())
}

func TestJetStreamEmbedded(t *testing.T) {
	t.Parallel()
	s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	onBoth(t, func(t *testing.T, db *sql.DB) {
		onJetStream(t, s.URL(), db, func(t *testing.T, ns string) { dropStreams(t, s.URL(), ns+"_EVENTS") })
	})
}

func TestJetStreamExternal(t *testing.T) {
	t.Parallel()
	url := env("CLEAVE_TEST_NATS", "nats://127.0.0.1:4222")
	onBoth(t, func(t *testing.T, db *sql.DB) {
		onJetStream(t, url, db, func(t *testing.T, ns string) { emptyStream(t, url, ns+"_EVENTS") })
	})
}

func onJetStream(t *testing.T, url string, db *sql.DB, lose func(t *testing.T, ns string)) {
	t.Helper()
	run(t, func(t *testing.T) outboxtest.Setup {
		ns := namespace()
		t.Cleanup(func() { dropStreams(t, url, ns+"_EVENTS", ns+"_DEAD") })
		return outboxtest.Setup{DB: db, Lose: func(t *testing.T) { lose(t, ns) }, Connect: func(t *testing.T) outboxtest.Broker {
			b, err := events.NewJetStream(events.JetStreamConfig{
				URL: url, Name: t.Name(), Namespace: ns, MaxBytes: 32 << 20, Delivery: eventstest.Delivery(),
			})
			if err != nil {
				t.Fatal(err)
			}
			connected(t, b)
			return b
		}}
	})
}

func TestRabbitMQ(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *sql.DB) {
		run(t, func(t *testing.T) outboxtest.Setup {
			ns := namespace()
			t.Cleanup(func() { dropQueues(t, ns) })
			return outboxtest.Setup{DB: db, Connect: func(t *testing.T) outboxtest.Broker {
				b, err := events.NewRabbitMQ(events.RabbitConfig{
					URL: rabbitURL(), Name: t.Name(), Namespace: ns, MaxBytes: 32 << 20, Delivery: eventstest.Delivery(),
				})
				if err != nil {
					t.Fatal(err)
				}
				connected(t, b)
				return &tidy{RabbitMQ: b, t: t}
			}}
		})
	})
}

// tidy removes the groups that a test made.
type tidy struct {
	*events.RabbitMQ
	t *testing.T
}

func (b *tidy) Subscribe(topic string, h broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	b.t.Cleanup(func() {
		if err := b.RemoveGroup(context.Background(), broker.NewSubscribeOptions(opts...).Queue, topic); err != nil {
			b.t.Errorf("clean up: %v", err)
		}
	})
	return b.RabbitMQ.Subscribe(topic, h, opts...)
}

// dropQueues removes what a namespace has on the server beside its groups.
func dropQueues(t *testing.T, ns string) {
	t.Helper()
	c, err := amqp.Dial(rabbitURL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	queues, exchanges := []string{ns + ".dead-letters"}, []string{ns + ".events"}
	for _, b := range eventstest.Delivery().Backoff {
		queues, exchanges = append(queues, ns+".retry."+b.String()), append(exchanges, ns+".retry."+b.String())
	}
	for _, q := range queues {
		if _, err := ch.QueueDelete(q, false, false, false); err != nil {
			t.Errorf("clean up %s: %v", q, err)
		}
	}
	for _, x := range exchanges {
		if err := ch.ExchangeDelete(x, false, false); err != nil {
			t.Errorf("clean up %s: %v", x, err)
		}
	}
}

func rabbitURL() string { return env("CLEAVE_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/") }

func connected(t *testing.T, b outboxtest.Broker) {
	t.Helper()
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Disconnect(); err != nil {
			t.Errorf("disconnect: %v", err)
		}
	})
}

func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	c, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func dropStreams(t *testing.T, url string, names ...string) {
	t.Helper()
	js := jetStream(t, url)
	for _, name := range names {
		if err := js.DeleteStream(context.Background(), name); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	}
}

// emptyStream loses messages and groups, and leaves the stream: an old server (2.9) removes the files of one that is dropped a moment later,
// even when it has been made again by then.
func emptyStream(t *testing.T, url, name string) {
	t.Helper()
	stream, err := jetStream(t, url).Stream(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	groups := stream.ConsumerNames(context.Background())
	for group := range groups.Name() {
		err = errors.Join(err, stream.DeleteConsumer(context.Background(), group))
	}
	if err := errors.Join(err, groups.Err(), stream.Purge(context.Background())); err != nil {
		t.Fatal(err)
	}
}
