package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
	"go-micro.dev/v4/broker"
)

// headerAttempt counts the deliveries that failed in a handler.
const headerAttempt = "Cleave-Attempt"

// Subscribe hands messages of topic to h, one at a time; the package comment says how. It returns when the queue exists, so
// that what is published afterwards arrives.
func (r *RabbitMQ) Subscribe(topic string, h broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	if err := checkTopic(topic); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	l := r.current()
	if l == nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, errNotConnected)
	}
	o := broker.NewSubscribeOptions(opts...)
	ctx, stop := context.WithCancel(context.Background())
	c := &consumer{r: r, link: l, topic: topic, group: o.Queue, autoAck: o.AutoAck, handler: h, watch: watchOf(o)}
	first, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	if err := c.open(first); err != nil {
		stop()
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	s := &subscription{topic: topic, options: o, stop: stop, ended: make(chan struct{})}
	s.after = func() error {
		r.mu.Lock()
		delete(r.subs, s)
		r.mu.Unlock()
		return nil
	}
	r.mu.Lock()
	r.subs[s] = struct{}{}
	r.mu.Unlock()
	go func() {
		defer close(s.ended)
		c.run(ctx)
	}()
	return s, nil
}

// consumer reads one queue over a channel of its own, which is opened again when it is lost.
type consumer struct {
	r       *RabbitMQ
	link    *link
	topic   string
	group   string
	autoAck bool
	handler broker.Handler
	watch   Watch

	ch    *amqp.Channel
	queue string
	in    <-chan amqp.Delivery
}

// open makes the queue and starts to consume. One unacknowledged message at a time: a slow subscriber holds none back from
// the others of its group.
func (c *consumer) open(ctx context.Context) error {
	ch, err := c.link.channel(ctx)
	if err != nil {
		return err
	}
	if err := c.consume(ch); err != nil {
		return errors.Join(err, ch.Close())
	}
	c.ch = ch
	return nil
}

func (c *consumer) consume(ch *amqp.Channel) error {
	name, exclusive := "", true
	var args amqp.Table
	if c.group != "" {
		name, exclusive = c.r.queue(c.group, c.topic), false
		args = amqp.Table{
			"x-queue-type": "quorum", "x-message-ttl": c.r.conf.MaxAge.Milliseconds(), "x-max-length-bytes": c.r.conf.MaxBytes,
		}
	}
	q, err := ch.QueueDeclare(name, !exclusive, exclusive, exclusive, false, args)
	if err != nil {
		return fmt.Errorf("make queue: %w", err)
	}
	if err := ch.QueueBind(q.Name, c.topic, c.r.exchange(), false, nil); err != nil {
		return fmt.Errorf("bind queue: %w", err)
	}
	if err := ch.Qos(1, 0, false); err != nil {
		return fmt.Errorf("limit deliveries: %w", err)
	}
	in, err := ch.Consume(q.Name, "", false, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	c.queue, c.in = q.Name, in
	return nil
}

// run handles deliveries until ctx ends. What was delivered and not handled goes back when the channel closes.
func (c *consumer) run(ctx context.Context) {
	log := c.r.log.With("topic", c.topic, "group", c.group)
	defer func() {
		if c.ch != nil {
			_ = c.ch.Close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case d, ok := <-c.in:
			if ok {
				if ctx.Err() != nil {
					return
				}
				c.handle(d)
				continue
			}
		}
		_ = c.ch.Close() // a cancelled consumer leaves its channel open
		for try := 0; ; try++ {
			err := c.open(ctx)
			if err == nil {
				break
			}
			if try == 0 {
				log.WarnContext(ctx, "reading from RabbitMQ failed; trying again", "error", err)
			}
			if !pause(ctx, backoff(try)) {
				return
			}
		}
	}
}

// handle runs the handler for one message and decides what becomes of it.
func (c *consumer) handle(d amqp.Delivery) {
	conf := c.r.conf.Delivery
	m := &broker.Message{Header: header(d.Headers), Body: d.Body}
	failed, _ := strconv.Atoi(m.Header[headerAttempt]) // absent the first time
	delete(m.Header, headerAttempt)
	deliveries := failed + 1 + crashes(d)
	attempt := c.watch.attempts(m, deliveries)
	e := &event{topic: c.topic, msg: m, ack: func() error { return d.Ack(false) }}
	var err error
	if attempt > conf.MaxDeliver {
		// Handlers that take the process down never return an error: the count alone tells.
		err = fmt.Errorf("delivered %d times and never finished", attempt-1)
	} else {
		err = call(c.handler, e, c.r.log)
	}
	log := c.r.log.With("topic", c.topic, "group", c.group, "event", m.Header[HeaderEventID], "attempt", attempt)
	switch conf.judge(err, attempt, c.autoAck, e.wasAcked()) {
	case done:
		err = e.Ack()
	case again:
		delay := conf.retryIn(err, attempt, deliveries)
		logAgain(log, err, delay)
		h := make(map[string]string, len(m.Header)+1)
		for k, v := range m.Header {
			h[k] = v
		}
		h[headerAttempt] = strconv.Itoa(deliveries)
		err = c.move(d, c.r.retryQueue(delay), c.queue, publishing(h, m.Body))
	case dead:
		log.Error("event failed for good; it is a dead letter", "error", err)
		reason := err
		if err = c.move(d, "", c.r.deadQueue(), publishing(deadHeader(m.Header, c.topic, c.group, reason, attempt), m.Body)); err == nil {
			c.watch.Dead(m, reason)
		}
	case left:
		err = nil
	}
	if err != nil {
		log.Warn("could not tell RabbitMQ what became of an event; it may come again", "error", err)
	}
}

// move stores p elsewhere, and only then lets go of d: a crash between the two doubles a message and loses none.
func (c *consumer) move(d amqp.Delivery, exchange, key string, p amqp.Publishing) error {
	ctx, cancel := context.WithTimeout(context.Background(), publishWait)
	defer cancel()
	if err := c.link.publish(ctx, exchange, key, p); err != nil {
		return errors.Join(fmt.Errorf("move: %w", err), d.Nack(false, true))
	}
	return d.Ack(false)
}

// crashes is how often the message came back without a word, counted by quorum queues.
func crashes(d amqp.Delivery) int {
	switch n := d.Headers["x-delivery-count"].(type) {
	case int64:
		return int(n)
	case int32:
		return int(n)
	}
	return 0
}
