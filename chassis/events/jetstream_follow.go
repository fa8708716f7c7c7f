package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var _ Follower = (*JetStream)(nil)

const (
	followBatch = 64              // messages that a follower's connection may hold
	replayBatch = 16              // likewise, of one who reads the past at its own pace
	followIdle  = time.Minute     // after which NATS forgets a follower that doesn't ask any more
	followBeat  = 5 * time.Second // of NATS, so that a connection that is dead is noticed
)

// Span implements [Follower].
func (j *JetStream) Span(ctx context.Context) (first, last Place, err error) {
	info, err := j.info(ctx)
	if err != nil {
		return Place{}, Place{}, fmt.Errorf("ask what NATS keeps: %w", err)
	}
	store := storeOf(info.Created)
	return Place{store, max(info.State.FirstSeq, 1)}, Place{store, info.State.LastSeq}, nil
}

// info is what NATS says of the stream; the stream is made anew when it is gone.
func (j *JetStream) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	js := j.current()
	if js == nil {
		return nil, errNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	stream, err := js.Stream(ctx, j.stream()) // asks for its state, too
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = j.restore(ctx, js); err == nil {
			stream, err = js.Stream(ctx, j.stream())
		}
	}
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

// Follow implements [Follower].
func (j *JetStream) Follow(ctx context.Context, topic string, after Place, fn func(Placed)) (stop func() error, err error) {
	if err := checkTopic(topic); err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	f := &follower{j: j, topic: topic, at: after, fn: fn}
	c, err := f.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", topic, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.run(ctx, c)
	}()
	return func() error { cancel(); <-ended; return nil }, nil
}

// follower reads one topic from a place on.
type follower struct {
	j     *JetStream
	topic string
	at    Place // that was handed on last
	fn    func(Placed)
}

// open makes a consumer behind the place that the follower has got to.
func (f *follower) open(ctx context.Context) (jetstream.Consumer, error) {
	first, last, err := f.j.Span(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case f.at.IsZero():
		f.at = last
	case f.at.Store != last.Store: // it was lost: all of the new one is new
		f.at = Place{last.Store, first.Seq - 1}
	case f.at.Seq > last.Seq: // it is an older one of itself
		f.at = last
	}
	return f.j.reader(ctx, f.topic, f.at.Seq+1)
}

// reader makes a consumer that acknowledges nothing and that nobody has to remove.
func (j *JetStream) reader(ctx context.Context, topic string, from uint64) (jetstream.Consumer, error) {
	js := j.current()
	if js == nil {
		return nil, errNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	return js.CreateConsumer(ctx, j.stream(), jetstream.ConsumerConfig{
		FilterSubject: j.subject(topic), AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq: from, InactiveThreshold: followIdle, MemoryStorage: true,
	})
}

func (f *follower) run(ctx context.Context, c jetstream.Consumer) {
	log := f.j.log.With("topic", f.topic)
	for failures := 0; ctx.Err() == nil; {
		got, err := f.read(ctx, c)
		f.j.dismiss(c)
		if ctx.Err() != nil {
			return
		}
		if got {
			failures = 0
		}
		if failures++; failures == 1 {
			log.WarnContext(ctx, "following on NATS failed; trying again", "error", err)
		}
		for {
			if !pause(ctx, backoff(failures)) {
				return
			}
			if c, err = f.open(ctx); err == nil {
				break
			}
			failures++
		}
	}
}

// read hands on what comes, until it fails. got says that something came.
func (f *follower) read(ctx context.Context, c jetstream.Consumer) (got bool, err error) {
	f.j.mu.Lock()
	epoch := f.j.epoch
	f.j.mu.Unlock()
	it, err := c.Messages(jetstream.PullMaxMessages(followBatch), jetstream.PullHeartbeat(followBeat))
	if err != nil {
		return false, err
	}
	defer it.Stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-epoch: // what was asked for died with its connection
		case <-ctx.Done():
		case <-done:
		}
		it.Stop()
	}()
	for {
		msg, err := it.Next()
		if err != nil {
			return got, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return got, err
		}
		f.at.Seq, got = meta.Sequence.Stream, true
		if m := message(msg); forEverybody(m) {
			f.fn(Placed{f.at, m})
		}
	}
}

// dismiss removes a reader; when that fails NATS does it after a while.
func (j *JetStream) dismiss(c jetstream.Consumer) {
	js := j.current()
	if js == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = js.DeleteConsumer(ctx, j.stream(), c.CachedInfo().Name)
}

// Replay implements [Follower].
func (j *JetStream) Replay(ctx context.Context, topic string, after, upTo Place, fn func(Placed) error) error {
	if err := checkTopic(topic); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if !upTo.Follows(after) {
		return nil
	}
	c, err := j.reader(ctx, topic, after.Seq+1)
	if err != nil {
		return fmt.Errorf("replay %s: %w", topic, err)
	}
	defer j.dismiss(c)
	if c.CachedInfo().NumPending == 0 {
		return nil
	}
	it, err := c.Messages(jetstream.PullMaxMessages(replayBatch), jetstream.PullHeartbeat(followBeat))
	if err != nil {
		return fmt.Errorf("replay %s: %w", topic, err)
	}
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Stop)()
	for {
		msg, err := it.Next()
		if err != nil {
			return fmt.Errorf("replay %s: %w", topic, errors.Join(ctx.Err(), err))
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("replay %s: %w", topic, err)
		}
		at := Place{upTo.Store, meta.Sequence.Stream}
		if at.Follows(upTo) {
			return nil
		}
		if m := message(msg); forEverybody(m) {
			if err := fn(Placed{at, m}); err != nil {
				return err
			}
		}
		if at == upTo || meta.NumPending == 0 {
			return nil
		}
	}
}
