package events_test

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/events/eventstest"
)

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func natsURL() string   { return env("CLEAVE_TEST_NATS", "nats://127.0.0.1:4222") }
func rabbitURL() string { return env("CLEAVE_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/") }

// namespace is new for every test.
func namespace(t *testing.T) string {
	t.Helper()
	return "test-" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
}

func embedded(t *testing.T) *events.Embedded {
	t.Helper()
	s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func openJetStream(t *testing.T, url, ns string, d events.Delivery) *events.JetStream {
	t.Helper()
	b, err := events.NewJetStream(events.JetStreamConfig{URL: url, Name: t.Name(), Namespace: ns, MaxBytes: 32 << 20, Delivery: d})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Disconnect(); err != nil {
			t.Errorf("disconnect: %v", err)
		}
	})
	return b
}

// dropStreams removes what a test left on a shared server.
func dropStreams(t *testing.T, url, ns string) {
	t.Helper()
	t.Cleanup(func() {
		c, err := nats.Connect(url)
		if err != nil {
			t.Errorf("clean up: %v", err)
			return
		}
		defer c.Close()
		js, err := jetstream.New(c)
		if err != nil {
			t.Errorf("clean up: %v", err)
			return
		}
		for _, s := range []string{ns + "_EVENTS", ns + "_DEAD"} {
			if err := js.DeleteStream(context.Background(), s); err != nil {
				t.Errorf("clean up %s: %v", s, err)
			}
		}
	})
}

func openRabbit(t *testing.T, url, ns string, d events.Delivery) *events.RabbitMQ {
	t.Helper()
	b, err := events.NewRabbitMQ(events.RabbitConfig{URL: url, Name: t.Name(), Namespace: ns, MaxBytes: 32 << 20, Delivery: d})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Disconnect(); err != nil {
			t.Errorf("disconnect: %v", err)
		}
	})
	return b
}

// dropQueues removes what a test left; more are the queues of the groups it used.
func dropQueues(t *testing.T, ns string, d events.Delivery) {
	t.Helper()
	t.Cleanup(func() {
		c, err := amqp.Dial(rabbitURL())
		if err != nil {
			t.Errorf("clean up: %v", err)
			return
		}
		defer c.Close()
		ch, err := c.Channel()
		if err != nil {
			t.Errorf("clean up: %v", err)
			return
		}
		queues, exchanges := events.RabbitNames(ns, d, []string{"a", "b", "workers"},
			[]string{"shop.test.v1.Made", "shop.test.v1.Other", "google.protobuf.StringValue"})
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
	})
}

func TestJetStreamEmbedded(t *testing.T) {
	url := embedded(t).URL()
	eventstest.Run(t, func(t *testing.T) eventstest.Connect {
		ns := namespace(t)
		return func(t *testing.T) eventstest.Broker { return openJetStream(t, url, ns, eventstest.Delivery()) }
	})
}

func TestJetStreamExternal(t *testing.T) {
	eventstest.Run(t, func(t *testing.T) eventstest.Connect {
		ns := namespace(t)
		dropStreams(t, natsURL(), ns)
		return func(t *testing.T) eventstest.Broker { return openJetStream(t, natsURL(), ns, eventstest.Delivery()) }
	})
}

func TestRabbitMQ(t *testing.T) {
	eventstest.Run(t, func(t *testing.T) eventstest.Connect {
		ns := namespace(t)
		dropQueues(t, ns, eventstest.Delivery())
		return func(t *testing.T) eventstest.Broker { return openRabbit(t, rabbitURL(), ns, eventstest.Delivery()) }
	})
}

// proxy is a TCP relay that can cut what runs through it and refuse what comes.
type proxy struct {
	l      net.Listener
	target string
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	down   bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, conns: make(map[net.Conn]struct{})}
	go p.run()
	t.Cleanup(func() { l.Close(); p.cut(true) })
	return p
}

func (p *proxy) run() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := net.DialTimeout("tcp", p.target, 5*time.Second)
		p.mu.Lock()
		if err != nil || p.down {
			p.mu.Unlock()
			in.Close()
			if out != nil {
				out.Close()
			}
			continue
		}
		p.conns[in], p.conns[out] = struct{}{}, struct{}{}
		p.mu.Unlock()
		go relay(in, out)
		go relay(out, in)
	}
}

func relay(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}

// cut ends every connection; with down set new ones are refused.
func (p *proxy) cut(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}
