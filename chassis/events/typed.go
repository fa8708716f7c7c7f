package events

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

// drainWait is how long Unsubscribe lets a running handler go on before its context ends.
const drainWait = 5 * time.Second

// Topic is where messages of m's type are published: its full name, such as shop.order.v1.OrderConfirmed.
func Topic(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

// Publish sends m to its topic and returns when the broker has stored it. The event's id is m's field event_id when it has
// one that is set, else a new UUIDv7. The trace in ctx goes along. When ctx ends first, the error is its error, and the
// message may have been stored.
func Publish(ctx context.Context, b broker.Broker, m proto.Message) error {
	topic := Topic(m)
	ctx, span := telemetry.Start(ctx, "publish "+topic, telemetry.Producer)
	err := publish(ctx, b, topic, m)
	span.Done(err)
	return err
}

func publish(ctx context.Context, b broker.Broker, topic string, m proto.Message) error {
	body, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("publish %s: encode: %w", topic, err)
	}
	id, err := eventID(m)
	if err != nil {
		return fmt.Errorf("publish %s: make an id: %w", topic, err)
	}
	header := map[string]string{
		HeaderContentType: ContentType,
		HeaderTraceparent: telemetry.Traceparent(telemetry.Ensure(ctx)),
		HeaderEventID:     id,
	}
	if err := b.Publish(topic, &broker.Message{Header: header, Body: body}, broker.PublishContext(ctx)); err != nil {
		return fmt.Errorf("publish %s: %w", topic, err)
	}
	return nil
}

// eventID reads the string field event_id.
func eventID(m proto.Message) (string, error) {
	r := m.ProtoReflect()
	f := r.Descriptor().Fields().ByName("event_id")
	if f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() {
		if id := r.Get(f).String(); id != "" {
			return id, nil
		}
	}
	id, err := uuid.NewV7()
	return id.String(), err
}

// Subscribe hands every M published to group to fn, one at a time. fn's ctx continues the publisher's trace. When fn
// returns nil the message is done; when it returns an error or panics it comes again, later; a message that is no M, or an
// error marked [Permanent], is a dead letter at once. M is a generated message type, such as *orderv1.OrderConfirmed.
//
// Unsubscribe waits for fn; fn's ctx ends 5 s after Unsubscribe was called, or when it returns.
func Subscribe[M proto.Message](b broker.Broker, group string, fn func(ctx context.Context, m M) error) (broker.Subscriber, error) {
	return SubscribeMessages(b, group, func(ctx context.Context, _ map[string]string, m M) error { return fn(ctx, m) })
}

// SubscribeMessages is [Subscribe] for those who need the message's header, which fn must not change.
func SubscribeMessages[M proto.Message](
	b broker.Broker, group string, fn func(ctx context.Context, header map[string]string, m M) error, opts ...broker.SubscribeOption,
) (broker.Subscriber, error) {
	if group == "" {
		return nil, errors.New("subscribe: the group is empty")
	}
	var zero M
	kind := zero.ProtoReflect().Type()
	topic := string(kind.Descriptor().FullName())
	tracer := tracerIn(opts)
	ctx, cancel := context.WithCancel(context.Background())
	handle := func(e broker.Event) error {
		m, err := decode[M](e.Message(), kind)
		if err != nil {
			return Permanent(fmt.Errorf("decode %s: %w", topic, err))
		}
		header := e.Message().Header
		ctx, span := tracer.Join(ctx, header[HeaderTraceparent], "handle "+topic, telemetry.Consumer)
		span.Set("messaging.consumer.group.name", group)
		err = fn(ctx, header, m)
		told(span, err)
		return err
	}
	s, err := b.Subscribe(topic, handle, append(opts, broker.Queue(group))...)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("subscribe %s to %s: %w", group, topic, err)
	}
	return &typed{Subscriber: s, cancel: cancel}, nil
}

func decode[M proto.Message](msg *broker.Message, kind protoreflect.MessageType) (M, error) {
	var none M
	media, _, err := mime.ParseMediaType(msg.Header[HeaderContentType])
	if err != nil || media != ContentType {
		return none, fmt.Errorf("the content type is %q, not %s", msg.Header[HeaderContentType], ContentType)
	}
	m := kind.New().Interface()
	if err := proto.Unmarshal(msg.Body, m); err != nil {
		return none, err
	}
	return m.(M), nil //nolint:errcheck // it was made of M
}

// typed ends the handler's context after the subscription.
type typed struct {
	broker.Subscriber
	cancel context.CancelFunc
}

// Unsubscribe is described at Subscribe.
func (t *typed) Unsubscribe() error {
	defer t.cancel()
	defer time.AfterFunc(drainWait, t.cancel).Stop()
	return t.Subscriber.Unsubscribe()
}
