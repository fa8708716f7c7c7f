package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go-micro.dev/v4/broker"
)

// fetchWait is how long one request for the next message stays open.
const fetchWait = 30 * time.Second

// Subscribe hands messages of topic to h, one at a time; the package comment says how. It returns when the consumer exists,
// so that what is published afterwards arrives.
func (j *JetStream) Subscribe(topic string, h broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	if err := checkTopic(topic); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	o := broker.NewSubscribeOptions(opts...)
	conf := jetstream.ConsumerConfig{
		FilterSubject: j.subject(topic), AckPolicy: jetstream.AckExplicitPolicy, AckWait: j.conf.Delivery.AckWait,
		DeliverPolicy: jetstream.DeliverNewPolicy,
		MaxDeliver:    -1,     // we count ourselves: the server would stop delivering without a word
		MaxAckPending: 10_000, // those that wait for their next delivery count
	}
	if o.Queue != "" {
		conf.Durable = durable(o.Queue, topic)
	} else {
		conf.InactiveThreshold = 5 * time.Minute
	}
	consumer, err := j.consumer(conf)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &subscription{topic: topic, options: o, stop: stop, ended: make(chan struct{})}
	s.after = func() error {
		j.mu.Lock()
		delete(j.subs, s)
		j.mu.Unlock()
		return nil
	}
	j.mu.Lock()
	j.subs[s] = struct{}{}
	j.mu.Unlock()
	w := &puller{j: j, conf: conf, topic: topic, group: o.Queue, autoAck: o.AutoAck, handler: h, watch: watchOf(o)}
	go func() {
		defer close(s.ended)
		w.run(ctx, consumer)
	}()
	return s, nil
}

// consumer makes a consumer or finds the group's.
func (j *JetStream) consumer(conf jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	js := j.current()
	if js == nil {
		return nil, errNotConnected
	}
	ctx, cancel := context.WithTimeout(context.Background(), publishWait)
	defer cancel()
	c, err := js.CreateOrUpdateConsumer(ctx, j.stream(), conf)
	if errors.Is(err, jetstream.ErrStreamNotFound) { // the server has lost its store since Connect
		if err = j.restore(ctx, js); err == nil {
			c, err = js.CreateOrUpdateConsumer(ctx, j.stream(), conf)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make consumer: %w", err)
	}
	return c, nil
}

// puller takes one message at a time, so that a slow subscriber holds none back from the others of its group.
type puller struct {
	j       *JetStream
	conf    jetstream.ConsumerConfig
	topic   string
	group   string
	autoAck bool
	handler broker.Handler
	watch   Watch
}

// run pulls until ctx ends.
func (p *puller) run(ctx context.Context, c jetstream.Consumer) {
	log := p.j.log.With("topic", p.topic, "group", p.group)
	for failures := 0; ctx.Err() == nil; {
		msg, err := p.next(ctx, c)
		if msg != nil {
			failures = 0
			p.handle(msg)
			continue
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if failures++; failures == 1 {
			log.WarnContext(ctx, "reading from NATS failed; trying again", "error", err)
		}
		if !pause(ctx, backoff(failures)) {
			break
		}
		// The server may have lost the consumer, or its whole store.
		if again, err := p.remake(); err == nil {
			c = again
		}
	}
	if p.group == "" {
		p.forget(c)
	}
}

// next waits for one message; nil and nil when none came in time.
func (p *puller) next(ctx context.Context, c jetstream.Consumer) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	p.j.mu.Lock()
	epoch := p.j.epoch
	p.j.mu.Unlock()
	go func() {
		select {
		case <-epoch: // the request died with its connection
			cancel()
		case <-ctx.Done():
		}
	}()
	batch, err := c.Fetch(1, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(5*time.Second))
	if err != nil {
		return nil, err
	}
	msg := <-batch.Messages()
	if msg != nil {
		return msg, nil
	}
	err = batch.Error()
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil, nil
	}
	return nil, err
}

func (p *puller) remake() (jetstream.Consumer, error) {
	js := p.j.current()
	if js == nil {
		return nil, errNotConnected
	}
	ctx, cancel := context.WithTimeout(context.Background(), publishWait)
	defer cancel()
	if err := p.j.restore(ctx, js); err != nil {
		return nil, err
	}
	return p.j.consumer(p.conf)
}

// forget removes a consumer without a group; if that fails the server does it after a while.
func (p *puller) forget(c jetstream.Consumer) {
	js := p.j.current()
	if js == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = js.DeleteConsumer(ctx, p.j.stream(), c.CachedInfo().Name)
}

// handle runs the handler for one message and tells the server what became of it.
func (p *puller) handle(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		p.j.log.Error("a message without metadata", "topic", p.topic, "error", err)
		return
	}
	deliveries := int(meta.NumDelivered) //nolint:gosec // far from 2^63
	e := &event{topic: p.topic, msg: message(msg), ack: func() error { return doubleAck(msg) }}
	if forOther(e.msg, p.group) {
		_ = e.Ack() // else it comes again
		return
	}
	attempt := p.watch.attempts(e.msg, deliveries)
	if attempt > p.j.conf.Delivery.MaxDeliver {
		// Handlers that take the process down never return an error: the count alone tells.
		err = fmt.Errorf("delivered %d times and never finished", attempt-1)
	} else {
		beat := p.keep(msg)
		err = call(p.handler, e, p.j.log)
		beat()
	}
	log := p.j.log.With("topic", p.topic, "group", p.group, "event", e.msg.Header[HeaderEventID], "attempt", attempt)
	switch p.j.conf.Delivery.judge(err, attempt, p.autoAck, e.wasAcked()) {
	case done:
		err = e.Ack()
	case again:
		delay := p.j.conf.Delivery.retryIn(err, attempt, deliveries)
		logAgain(log, err, delay)
		err = msg.NakWithDelay(delay)
	case dead:
		log.Error("event failed for good; it is a dead letter", "error", err)
		reason := err
		if err = p.bury(e.msg, reason, attempt, meta.Sequence.Stream); err == nil {
			p.watch.Dead(e.msg, reason)
			err = msg.Term()
		} else {
			err = errors.Join(err, msg.NakWithDelay(p.j.conf.Delivery.delay(attempt)))
		}
	case left:
		err = nil
	}
	if err != nil {
		log.Warn("could not tell NATS what became of an event; it may come again", "error", err)
	}
}

// doubleAck waits for the server's word, so that an acknowledgement lost with the connection is noticed.
func doubleAck(msg jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(context.Background(), publishWait)
	defer cancel()
	return msg.DoubleAck(ctx)
}

// keep tells the server at a third of AckWait that the handler is still at it; the result ends that.
func (p *puller) keep(msg jetstream.Msg) func() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for pause(ctx, p.conf.AckWait/3) {
			_ = msg.InProgress()
		}
	}()
	return func() { cancel(); <-ended }
}

// bury stores a dead letter. The same one is stored once, however often it is tried.
func (p *puller) bury(m *broker.Message, reason error, attempts int, seq uint64) error {
	js := p.j.current()
	if js == nil {
		return errNotConnected
	}
	msg := &nats.Msg{Subject: p.j.deadSubject(p.topic), Data: m.Body, Header: make(nats.Header)}
	for k, v := range deadHeader(m.Header, p.topic, p.group, reason, attempts) {
		msg.Header[k] = []string{v}
	}
	msg.Header[jetstream.MsgIDHeader] = []string{fmt.Sprintf("%s/%d", durable(p.group, p.topic), seq)}
	ctx, cancel := context.WithTimeout(context.Background(), publishWait)
	defer cancel()
	if _, err := send(ctx, js, msg); err != nil {
		return fmt.Errorf("store dead letter: %w", err)
	}
	return nil
}

// message translates a NATS message; headers of NATS's own stay out.
func message(msg jetstream.Msg) *broker.Message {
	return &broker.Message{Header: ownHeader(msg.Headers()), Body: msg.Data()}
}
