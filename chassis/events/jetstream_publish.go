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

// Publish stores m under topic. It waits at most 5 s, or until the end of the context given by broker.PublishContext.
func (j *JetStream) Publish(topic string, m *broker.Message, opts ...broker.PublishOption) error {
	_, err := j.store(publishContext(opts), topic, m)
	return err
}

// store publishes, and says the place in the stream.
func (j *JetStream) store(ctx context.Context, topic string, m *broker.Message) (uint64, error) {
	if err := checkTopic(topic); err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	if len(m.Body) > MaxMessage {
		return 0, fmt.Errorf("publish to %s: %w", topic, errTooLong)
	}
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	js := j.current()
	if js == nil {
		return 0, fmt.Errorf("publish to %s: %w", topic, errNotConnected)
	}
	msg := &nats.Msg{Subject: j.subject(topic), Data: m.Body, Header: make(nats.Header, len(m.Header)+1)}
	for k, v := range m.Header {
		msg.Header[k] = []string{v}
	}
	if id := m.Header[HeaderEventID]; id != "" {
		msg.Header[jetstream.MsgIDHeader] = []string{topic + "/" + id + m.Header[HeaderAgain]}
	}
	ack, err := send(ctx, js, msg)
	if errors.Is(err, jetstream.ErrNoStreamResponse) { // the server has lost its store since Connect
		if err = j.restore(ctx, js); err == nil {
			ack, err = send(ctx, js, msg)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("publish to %s: %w", topic, err)
	}
	return ack.Sequence, nil
}

// tryWait is how long one try waits for the server's word, when another try is safe.
const tryWait = time.Second

// send publishes one message. The word of a server whose connection was lost never comes, so a message that carries an id,
// which JetStream stores once, is sent again until ctx ends.
func send(ctx context.Context, js jetstream.JetStream, msg *nats.Msg) (*jetstream.PubAck, error) {
	if len(msg.Header[jetstream.MsgIDHeader]) == 0 {
		return js.PublishMsg(ctx, msg)
	}
	for {
		try, cancel := context.WithTimeout(ctx, tryWait)
		ack, err := js.PublishMsg(try, msg)
		timeout := try.Err() != nil
		cancel()
		if err == nil || ctx.Err() != nil || !timeout && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrTimeout) {
			return ack, err
		}
		if !timeout && !pause(ctx, backoff(0)) {
			return ack, err
		}
	}
}

func publishContext(opts []broker.PublishOption) context.Context {
	var o broker.PublishOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.Context == nil {
		return context.Background()
	}
	return o.Context
}
