package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var _ DeadLetterBox = (*JetStream)(nil)

// DeadLetters implements [DeadLetterBox]. An ID is a place in the stream of dead letters.
func (j *JetStream) DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error) {
	var out []DeadLetter
	err := j.eachDead(ctx, func(_ jetstream.Stream, _ uint64, d DeadLetter) (bool, error) {
		if len(out) < limit {
			out = append(out, d)
		}
		return len(out) < limit, nil
	})
	if err != nil {
		return out, fmt.Errorf("read dead letters: %w", err)
	}
	return out, nil
}

// ReplayDead implements [DeadLetterBox]. Sent twice within two minutes, a dead letter is stored once.
func (j *JetStream) ReplayDead(ctx context.Context, pick func(DeadLetter) bool) (int, error) {
	n := 0
	err := j.eachDead(ctx, func(s jetstream.Stream, seq uint64, d DeadLetter) (bool, error) {
		if !pick(d) {
			return true, nil
		}
		msg := &nats.Msg{Subject: j.subject(d.Topic), Data: d.Message.Body, Header: make(nats.Header)}
		for k, v := range replayed(d) {
			msg.Header[k] = []string{v}
		}
		msg.Header[jetstream.MsgIDHeader] = []string{"replay/" + d.ID + "/" + d.Time.String()}
		if _, err := send(ctx, j.current(), msg); err != nil {
			return false, fmt.Errorf("publish to %s: %w", d.Topic, err)
		}
		if err := s.DeleteMsg(ctx, seq); err != nil {
			return false, fmt.Errorf("remove it: %w", err)
		}
		n++
		return true, nil
	})
	if err != nil {
		return n, fmt.Errorf("replay dead letters: %w", err)
	}
	return n, nil
}

// DropDead implements [DeadLetterBox].
func (j *JetStream) DropDead(ctx context.Context, pick func(DeadLetter) bool) (int, error) {
	n := 0
	err := j.eachDead(ctx, func(s jetstream.Stream, seq uint64, d DeadLetter) (bool, error) {
		if !pick(d) {
			return true, nil
		}
		if err := s.DeleteMsg(ctx, seq); err != nil {
			return false, err
		}
		n++
		return true, nil
	})
	if err != nil {
		return n, fmt.Errorf("drop dead letters: %w", err)
	}
	return n, nil
}

// eachDead calls fn with every dead letter that is there now, the oldest first, until it says no.
func (j *JetStream) eachDead(ctx context.Context, fn func(s jetstream.Stream, seq uint64, d DeadLetter) (more bool, err error)) error {
	js := j.current()
	if js == nil {
		return errNotConnected
	}
	stream, err := js.Stream(ctx, j.deadStream())
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	for seq := max(info.State.FirstSeq, 1); seq <= info.State.LastSeq; seq++ {
		raw, err := stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // removed
		}
		if err != nil {
			return fmt.Errorf("read dead letter %d: %w", seq, err)
		}
		more, err := fn(stream, seq, deadLetter(strconv.FormatUint(seq, 10), ownHeader(raw.Header), raw.Data))
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// ownHeader leaves out NATS's own.
func ownHeader(h nats.Header) map[string]string {
	out := make(map[string]string, len(h))
	for k, v := range h {
		if len(v) > 0 && !strings.HasPrefix(k, "Nats-") {
			out[k] = v[0]
		}
	}
	return out
}
