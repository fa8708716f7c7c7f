package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"
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
func deadLetter(header map[string]string, body []byte) DeadLetter {
	attempts, _ := strconv.Atoi(header[HeaderDeadAttempts]) // 0 for what a person put there
	at, _ := time.Parse(time.RFC3339, header[HeaderDeadTime])
	d := DeadLetter{
		Topic: header[HeaderDeadTopic], Group: header[HeaderDeadGroup], Reason: header[HeaderDeadReason],
		Attempts: attempts, Time: at, Message: &broker.Message{Header: make(map[string]string), Body: body},
	}
	for k, v := range header {
		if !strings.HasPrefix(k, "Dead-") {
			d.Message.Header[k] = v
		}
	}
	return d
}

// DeadLetters returns up to limit dead letters, the oldest first, and leaves them where they are.
func (j *JetStream) DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error) {
	j.mu.Lock()
	js := j.js
	j.mu.Unlock()
	if js == nil {
		return nil, fmt.Errorf("read dead letters: %w", errNotConnected)
	}
	stream, err := js.Stream(ctx, j.deadStream())
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	var out []DeadLetter
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && len(out) < limit && seq > 0; seq++ {
		raw, err := stream.GetMsg(ctx, seq)
		if err != nil {
			if isMissing(err) {
				continue
			}
			return out, fmt.Errorf("read dead letter %d: %w", seq, err)
		}
		header := make(map[string]string)
		for k, v := range raw.Header {
			if len(v) > 0 && !strings.HasPrefix(k, "Nats-") {
				header[k] = v[0]
			}
		}
		out = append(out, deadLetter(header, raw.Data))
	}
	return out, nil
}

func isMissing(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) }
