package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go-micro.dev/v4/broker"
)

var _ broker.Broker = (*RabbitMQ)(nil)

// RabbitConfig says where RabbitMQ is.
type RabbitConfig struct {
	// URL of the server; empty is amqp://guest:guest@127.0.0.1:5672/.
	URL string
	// Name of the connection, for RabbitMQ's own monitoring.
	Name string
	// Log gets lost connections, failures and dead letters; nil discards.
	Log *slog.Logger
	// Namespace keeps brokers on one server apart; letters, digits, - and _. Empty is "cleave".
	Namespace string
	// MaxAge is how long a group's queue keeps a message; 0 is 7 days. Dead letters are kept four times as long.
	MaxAge time.Duration
	// MaxBytes bounds each queue; 0 is 1 GiB. The oldest messages go first.
	MaxBytes int64
	// Delivery says how hard to try. Each backoff has a queue on the server; one that is no longer used stays there, empty.
	Delivery Delivery
}

// RabbitMQ is a broker on AMQP 0.9.1. Topics are routing keys of the durable topic exchange NAMESPACE.events; a group has a
// durable quorum queue per topic. A message that has to wait for its next attempt lies in a queue NAMESPACE.retry.DELAY,
// which RabbitMQ empties back into the group's queue; dead letters are in the queue NAMESPACE.dead-letters.
//
// It speaks to amqp091-go directly, because go-micro's plugin (broker/rabbitmq v1.3.0) is on the abandoned
// streadway/amqp, registers itself in init, returns from Subscribe before the queue exists, can requeue only at once and
// without end, has no dead letters, and waits for a publisher's confirmation with no time limit. Unlike JetStream,
// RabbitMQ does not drop a message published twice: a handler has to know its Event-Ids.
// It is safe for concurrent use.
type RabbitMQ struct {
	conf RabbitConfig
	log  *slog.Logger

	mu      sync.Mutex
	options broker.Options
	link    *link
	subs    map[*subscription]struct{}
}

// NewRabbitMQ returns a broker that is not connected yet.
func NewRabbitMQ(conf RabbitConfig) (*RabbitMQ, error) {
	if conf.URL == "" {
		conf.URL = "amqp://guest:guest@127.0.0.1:5672/"
	}
	if conf.Namespace == "" {
		conf.Namespace = "cleave"
	}
	if plainName(conf.Namespace) != conf.Namespace {
		return nil, fmt.Errorf("new rabbitmq broker: namespace %q: want letters, digits, - and _", conf.Namespace)
	}
	if conf.MaxAge < 0 || conf.MaxBytes < 0 {
		return nil, errors.New("new rabbitmq broker: MaxAge or MaxBytes is negative")
	}
	if conf.MaxAge == 0 {
		conf.MaxAge = 7 * 24 * time.Hour
	}
	if conf.MaxBytes == 0 {
		conf.MaxBytes = 1 << 30
	}
	if err := conf.Delivery.validate(); err != nil {
		return nil, fmt.Errorf("new rabbitmq broker: %w", err)
	}
	conf.Delivery = conf.Delivery.withDefaults()
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	return &RabbitMQ{
		conf: conf, log: conf.Log.With("broker", "rabbitmq"), subs: make(map[*subscription]struct{}),
		options: broker.Options{Context: context.Background(), Addrs: []string{conf.URL}},
	}, nil
}

// Init applies go-micro options. broker.Addrs changes the server, and is an error once connected.
func (r *RabbitMQ) Init(opts ...broker.Option) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.options
	for _, opt := range opts {
		opt(&o)
	}
	if len(o.Addrs) > 0 && o.Addrs[0] != r.conf.URL {
		if r.link != nil {
			return errors.New("init rabbitmq broker: the address cannot change while connected")
		}
		r.conf.URL = o.Addrs[0]
	}
	r.options = o
	return nil
}

// Options returns what Init was given.
func (r *RabbitMQ) Options() broker.Options {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.options
}

// Address is the server's URL without the password.
func (r *RabbitMQ) Address() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, err := url.Parse(r.conf.URL)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

// String is "rabbitmq".
func (r *RabbitMQ) String() string { return "rabbitmq" }

// Connect connects and makes the exchanges and queues that all groups share. It fails when the server cannot be reached
// now; a connection lost later is made again for ever. A second call does nothing.
func (r *RabbitMQ) Connect() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != nil {
		return nil
	}
	l := newLink(r.conf.URL, r.conf.Name, r.log, r.declare)
	if err := l.start(); err != nil {
		return fmt.Errorf("connect to RabbitMQ: %w", err)
	}
	r.link = l
	return nil
}

// Disconnect unsubscribes everything, which waits for handlers, and closes the connection.
func (r *RabbitMQ) Disconnect() error {
	r.mu.Lock()
	subs := make([]*subscription, 0, len(r.subs))
	for s := range r.subs {
		subs = append(subs, s)
	}
	r.mu.Unlock()
	var errs []error
	for _, s := range subs {
		errs = append(errs, s.Unsubscribe())
	}
	r.mu.Lock()
	l := r.link
	r.link = nil
	r.mu.Unlock()
	if l != nil {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// Publish stores m under topic. It waits at most 5 s, or until the end of the context given by broker.PublishContext. A
// message that no group waits for is dropped by RabbitMQ.
func (r *RabbitMQ) Publish(topic string, m *broker.Message, opts ...broker.PublishOption) error {
	if err := checkTopic(topic); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if len(m.Body) > MaxMessage {
		return fmt.Errorf("publish to %s: %w", topic, errTooLong)
	}
	ctx, cancel := context.WithTimeout(publishContext(opts), publishWait)
	defer cancel()
	l := r.current()
	if l == nil {
		return fmt.Errorf("publish to %s: %w", topic, errNotConnected)
	}
	if err := l.publish(ctx, r.exchange(), topic, publishing(m.Header, m.Body)); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

func (r *RabbitMQ) current() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link
}

func publishing(header map[string]string, body []byte) amqp.Publishing {
	p := amqp.Publishing{
		DeliveryMode: amqp.Persistent, Body: body, Headers: make(amqp.Table, len(header)),
		ContentType: header[HeaderContentType], MessageId: header[HeaderEventID],
	}
	for k, v := range header {
		p.Headers[k] = v
	}
	return p
}

func (r *RabbitMQ) exchange() string  { return r.conf.Namespace + ".events" }
func (r *RabbitMQ) deadQueue() string { return r.conf.Namespace + ".dead-letters" }
func (r *RabbitMQ) queue(group, topic string) string {
	return r.conf.Namespace + "." + durable(group, topic)
}
func (r *RabbitMQ) retryQueue(delay time.Duration) string {
	return r.conf.Namespace + ".retry." + delay.String()
}

// declare makes what all groups share. A retry queue hangs on a fanout exchange of its own, so that a message keeps the
// routing key it came with: the name of the group's queue, where RabbitMQ sends it when its time is over.
func (r *RabbitMQ) declare(ch *amqp.Channel) error {
	if err := ch.ExchangeDeclare(r.exchange(), "topic", true, false, false, false, nil); err != nil {
		return fmt.Errorf("make exchange %s: %w", r.exchange(), err)
	}
	_, err := ch.QueueDeclare(r.deadQueue(), true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-message-ttl": (4 * r.conf.MaxAge).Milliseconds(), "x-max-length-bytes": r.conf.MaxBytes,
		"x-delivery-limit": math.MaxInt32, // to look at one is to have it delivered; RabbitMQ 4 drops a message after 20 of that
	})
	if err != nil {
		return fmt.Errorf("make queue %s: %w", r.deadQueue(), err)
	}
	for _, delay := range r.conf.Delivery.Backoff {
		name := r.retryQueue(delay)
		if err := ch.ExchangeDeclare(name, "fanout", true, false, false, false, nil); err != nil {
			return fmt.Errorf("make exchange %s: %w", name, err)
		}
		_, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{
			"x-queue-type": "quorum", "x-message-ttl": delay.Milliseconds(), "x-dead-letter-exchange": "",
			"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
		})
		if err == nil {
			err = ch.QueueBind(name, "", name, false, nil)
		}
		if err != nil {
			return fmt.Errorf("make queue %s: %w", name, err)
		}
	}
	return nil
}

// header keeps the text of AMQP's header; RabbitMQ's own entries (x-death and the like) stay out.
func header(t amqp.Table) map[string]string {
	out := make(map[string]string, len(t))
	for k, v := range t {
		if s, ok := v.(string); ok && len(k) > 2 && k[:2] != "x-" {
			out[k] = s
		}
	}
	return out
}
