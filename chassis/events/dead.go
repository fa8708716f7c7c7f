package events

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go-micro.dev/v4/broker"
)

// maxReason bounds the error text kept with a dead letter, in bytes.
const maxReason = 1024

// deadHeader is a dead letter's header: the message's own and why it died.
func deadHeader(own map[string]string, topic, group string, reason error, attempts int) map[string]string {
	out := make(map[string]string, len(own)+5)
	for k, v := range own {
		out[k] = v
	}
	out[HeaderDeadTopic] = topic
	out[HeaderDeadGroup] = group
	out[HeaderDeadReason] = oneLine(reason.Error())
	out[HeaderDeadAttempts] = strconv.Itoa(attempts)
	out[HeaderDeadTime] = time.Now().UTC().Format(time.RFC3339)
	return out
}

// oneLine makes text fit for a header.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) <= maxReason {
		return s
	}
	cut := maxReason
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// deadLetter is deadHeader's inverse.
func deadLetter(id string, header map[string]string, body []byte) DeadLetter {
	attempts, _ := strconv.Atoi(header[HeaderDeadAttempts]) // 0 for what a person put there
	at, _ := time.Parse(time.RFC3339, header[HeaderDeadTime])
	d := DeadLetter{
		ID: id, Topic: header[HeaderDeadTopic], Group: header[HeaderDeadGroup], Reason: header[HeaderDeadReason],
		Attempts: attempts, Time: at, Message: &broker.Message{Header: make(map[string]string), Body: body},
	}
	for k, v := range header {
		if !strings.HasPrefix(k, "Dead-") {
			d.Message.Header[k] = v
		}
	}
	return d
}

// DeadLetterBox is a broker whose dead letters can be looked at and settled, as [JetStream] and [RabbitMQ] are.
type DeadLetterBox interface {
	// DeadLetters returns up to limit dead letters, the oldest first, and leaves them where they are.
	DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error)
	// ReplayDead sends every dead letter that pick takes to the group that gave it up, and to no other, and then removes it; the oldest first.
	// It returns how many it sent. A crash between the two sends one twice. pick is called once for each.
	ReplayDead(ctx context.Context, pick func(DeadLetter) bool) (int, error)
	// DropDead removes every dead letter that pick takes, and returns how many.
	DropDead(ctx context.Context, pick func(DeadLetter) bool) (int, error)
}

// replayed is a dead letter's message, addressed to the group that gave it up.
func replayed(d DeadLetter) map[string]string {
	out := make(map[string]string, len(d.Message.Header)+1)
	for k, v := range d.Message.Header {
		out[k] = v
	}
	out[HeaderReplay] = d.Group
	return out
}
