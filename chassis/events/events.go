// Package events holds go-micro brokers that do not lose messages, and typed helpers to publish and subscribe with.
//
// [JetStream] is for NATS, with [StartEmbedded] for a server inside this process; [RabbitMQ] is for AMQP 0.9.1. Any
// go-micro service can use them as its broker.Broker. What they promise is the same, and package eventstest checks it:
//
//   - Publish returns nil only when the server has stored the message. An error means that it may or may not be stored:
//     publish again with the same Event-Id.
//   - A subscription with a group (broker.Queue) is durable: it belongs to the group and the topic, outlives its
//     subscribers, and starts with what is published after its first subscription. Each group gets each message; the
//     group's subscribers share them. Without a group a subscriber gets what is published while it lives.
//   - Delivery is at least once. A message counts as done when the handler returns nil (with broker.DisableAutoAck:
//     when it calls Ack). A handler that fails or panics gets the message again after a growing delay, and after
//     MaxDeliver attempts, or at once when the error is [Permanent], the message becomes a dead letter, with the reason
//     in its headers. Redelivered messages come out of order. Handlers must be idempotent: Event-Id tells. A handler that
//     only has to wait says [Later].
//   - A subscription runs one handler at a time; more subscriptions in the same group run more.
//   - Unsubscribe returns when the handler that runs has returned. It must not be called from a handler.
//   - A lost connection is made again for ever, and subscriptions go on.
package events

import (
	"errors"
	"fmt"
	"time"

	"go-micro.dev/v4/broker"
)

// Header keys. They are compared as they are, in this spelling.
const (
	HeaderContentType = "Content-Type"
	HeaderTraceparent = "traceparent"
	// HeaderEventID is the same when a message is published again; JetStream drops the second within two minutes.
	HeaderEventID = "Event-Id"
	// HeaderAgain tells publications of one event apart that JetStream must not drop: the broker had lost it.
	HeaderAgain = "Event-Again"
	// HeaderReplay names the only group that the message is for: it had given the message up, and an operator sent it again.
	HeaderReplay = "Event-Replay"
)

// Header keys of dead letters, beside the message's own.
const (
	HeaderDeadTopic    = "Dead-Topic"
	HeaderDeadGroup    = "Dead-Group"
	HeaderDeadReason   = "Dead-Reason"
	HeaderDeadAttempts = "Dead-Attempts"
	HeaderDeadTime     = "Dead-Time" // RFC 3339, UTC
)

// ContentType is what Publish writes and Subscribe takes.
const ContentType = "application/protobuf"

// MaxMessage bounds a message's body, in bytes; Publish refuses a longer one. With its header a message stays within
// 1 MiB, which is all that a NATS server takes unless it is told otherwise.
const MaxMessage = 1<<20 - headerRoom

// headerRoom is what is left for headers, in bytes.
const headerRoom = 16 << 10

// DeadLetter is a message that a group gave up.
type DeadLetter struct {
	ID       string // the broker's name for it
	Topic    string
	Group    string
	Reason   string // the handler's last error
	Attempts int
	Time     time.Time
	Message  *broker.Message // headers and body as published
}

// Delivery says how hard a broker tries.
type Delivery struct {
	// MaxDeliver is how often a message is handed to a group before it is a dead letter; 0 is 10.
	MaxDeliver int
	// Backoff is the delay after the first failure, the second, ...; the last one repeats. Nil is 100 ms up to 5 min.
	Backoff []time.Duration
	// AckWait is how long a message may stay unacknowledged after its subscriber died before another one gets it; 0 is
	// 30 s. A handler may take longer: the broker keeps the message while the handler runs. RabbitMQ notices a dead
	// subscriber by its connection and does not use this.
	AckWait time.Duration
}

func (d Delivery) withDefaults() Delivery {
	if d.MaxDeliver == 0 {
		d.MaxDeliver = 10
	}
	if len(d.Backoff) == 0 {
		d.Backoff = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 5 * time.Second,
			15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}
	}
	if d.AckWait == 0 {
		d.AckWait = 30 * time.Second
	}
	return d
}

func (d Delivery) validate() error {
	if d.MaxDeliver < 0 || d.AckWait < 0 {
		return errors.New("MaxDeliver or AckWait is negative")
	}
	for _, b := range d.Backoff {
		if b <= 0 {
			return fmt.Errorf("backoff %s is not positive", b)
		}
	}
	return nil
}

// delay is how long to wait after the nth attempt failed, n from 1.
func (d Delivery) delay(attempt int) time.Duration {
	return d.Backoff[min(max(attempt, 1), len(d.Backoff))-1]
}

var (
	errNotConnected = errors.New("the broker is not connected: call Connect first")
	errTooLong      = fmt.Errorf("the message is longer than %d bytes", MaxMessage)
)
