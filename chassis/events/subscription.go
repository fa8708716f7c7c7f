package events

import (
	"context"
	"sync"
	"time"

	"go-micro.dev/v4/broker"
)

var _ broker.Subscriber = (*subscription)(nil)

// subscription is one running subscriber of either broker.
type subscription struct {
	topic   string
	options broker.SubscribeOptions
	stop    context.CancelFunc // no further messages
	ended   chan struct{}      // closed when the last handler has returned
	after   func() error       // clean-up, once; may be nil
	once    sync.Once
	err     error
}

// Options returns what Subscribe was given.
func (s *subscription) Options() broker.SubscribeOptions { return s.options }

// Topic returns the topic.
func (s *subscription) Topic() string { return s.topic }

// Unsubscribe takes no further message and returns when the handler that runs has returned. The group and what waits for
// it stay. A second call does the same.
func (s *subscription) Unsubscribe() error {
	s.stop()
	<-s.ended
	s.once.Do(func() {
		if s.after != nil {
			s.err = s.after()
		}
	})
	return s.err
}

// event is one delivery.
type event struct {
	topic string
	msg   *broker.Message
	ack   func() error

	mu    sync.Mutex
	acked bool
	err   error
}

func (e *event) Topic() string            { return e.topic }
func (e *event) Message() *broker.Message { return e.msg }

// Error is what acknowledging failed with, if it did.
func (e *event) Error() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// Ack says that the message is done. A second call does nothing.
func (e *event) Ack() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.acked {
		return nil
	}
	if e.err = e.ack(); e.err == nil {
		e.acked = true
	}
	return e.err
}

func (e *event) wasAcked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.acked
}

// pause waits for d or for ctx, and says whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// backoff is the delay before try n (from 0) to get a connection back.
func backoff(n int) time.Duration {
	return min(100*time.Millisecond<<min(n, 6), 5*time.Second)
}
