package api

import (
	"context"
	"errors"

	"github.com/cleavehq/cleave/chassis/problem"
)

// reasonDraining is the reason of what ends because the gateway stops.
const reasonDraining = "DRAINING"

// streams limits the open ones, tells them when the gateway stops, and waits for them: net/http doesn't know of a WebSocket.
type streams struct {
	slots chan struct{}
	left  context.Context // ends when those that are still open must go
	leave context.CancelFunc
}

func newStreams(limit int) *streams {
	s := &streams{slots: make(chan struct{}, limit)}
	s.left, s.leave = context.WithCancel(context.Background())
	return s
}

// open takes a place for a stream, which close gives back.
func (s *streams) open() error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
		return problem.Unavailable("TOO_MANY_STREAMS", "the gateway has %d streams open already", cap(s.slots))
	}
}

func (s *streams) close() { <-s.slots }

// wait returns when no stream is open, or when ctx ends. No further one can be opened.
func (s *streams) wait(ctx context.Context) error {
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return errors.New("streams are still open")
		}
	}
	return nil
}
