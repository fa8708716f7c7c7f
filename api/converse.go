package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cleavehq/cleave/api/internal/protocol"
	"github.com/cleavehq/cleave/api/internal/wirejson"
	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	openWait = time.Second      // for the first message, whose error would be the answer, before the headers are sent without it
	slowFrom = 10 * time.Second // a client that takes so long for one message is told that it is too slow, and dropped
)

// codec makes messages of what clients send, and the other way round.
type codec interface {
	decode(b []byte) (proto.Message, error)
	empty() proto.Message
	encode(m proto.Message) (b []byte, id string, err error)
}

// wire leaves messages as they are: protobuf that nobody looks into. What carries it is a message without fields, all of whose content is
// unknown to it, so that it goes every way that a message does.
type wire struct{}

func (wire) empty() proto.Message { return &emptypb.Empty{} }

func (wire) decode(b []byte) (proto.Message, error) {
	m := &emptypb.Empty{}
	m.ProtoReflect().SetUnknown(b)
	return m, nil
}

func (wire) encode(m proto.Message) (b []byte, id string, err error) {
	return m.ProtoReflect().GetUnknown(), "", nil
}

// transcoded turns JSON into messages.
type transcoded struct{ e *endpoint }

func (t transcoded) empty() proto.Message { return t.e.binding.Answer() }

func (t transcoded) decode(b []byte) (proto.Message, error) { return t.e.binding.Encode(nil, nil, b) }

func (t transcoded) encode(m proto.Message) (b []byte, id string, err error) {
	out, ok := m.(*wirejson.Encoded)
	if !ok {
		return nil, "", problem.Internal(errors.New("api: not an encoded message"))
	}
	b, err = t.e.binding.JSON(out)
	return b, eventID(out), err
}

func codecOf(c protocol.Codec, e *endpoint) codec {
	if c == protocol.Proto {
		return wire{}
	}
	return transcoded{e}
}

// listener is the client's side of a stream. All but recv is called by one goroutine.
type listener struct {
	codec
	recv    func() ([]byte, error) // the client's next message, io.EOF after the last
	unblock func()                 // makes recv return: the connection can't be read any more
	open    func() error           // sends the headers, when no message did
	message func(b []byte, id string) error
	gap     func(document []byte) error // nil when a stream has none
	beat    func() error
	end     func(error) // the last frame; errDraining for the end that the gateway makes
}

func (l *listener) say(h heard) error {
	if h.gap {
		return l.gap(h.b)
	}
	return l.message(h.b, h.id)
}

// errDraining ends streams when the gateway stops.
func errDraining() error {
	return problem.Unavailable(reasonDraining, "the gateway stops: open the stream again")
}

// long makes the exchange a stream: it has a place among the streams instead of one among the requests, and no time by which it must have
// been read. done gives the place back.
func (x *exchange) long() (done func(), err error) {
	if err := x.g.streams.open(); err != nil {
		return nil, err
	}
	x.release()
	x.span.Streamed()
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{}) // a test's writer has none
	return x.g.streams.close, nil
}

// converse opens a stream of the service and passes messages both ways until one side ends. first is the only message of a client that sends
// one; nil when l.recv says what it sends. Memory: one message each way, besides what the connections hold.
func (x *exchange) converse(ctx context.Context, e *endpoint, first proto.Message, l *listener) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c, body := x.g.c.Client, first
	if body == nil {
		body = l.empty()
	}
	s, err := c.Stream(ctx, c.NewRequest(e.service, e.name, body, client.StreamingRequest()), e.callOptions()...)
	if err != nil {
		l.end(x.upstream(err))
		return
	}
	defer func() { _ = s.Close() }()
	fed, heard := make(chan struct{}), make(chan heard)
	go func() {
		defer close(fed)
		if err := x.feed(s, first, l); err != nil {
			cancel(err)
		}
	}()
	go hear(ctx, s, l, heard)
	l.end(x.told(ctx, x.pass(ctx, l, heard)))
	cancel(nil)
	if first == nil { // else it waits for nothing of the client's, and the connection goes on to the next request
		l.unblock()
	}
	<-fed
	for range heard { // until it is closed
	}
}

// heard is what came from the service, or from a topic.
type heard struct {
	b   []byte
	id  string // what a stream can be resumed after
	gap bool   // b is the problem that says that something was lost; the stream goes on
	err error
}

func hear(ctx context.Context, s client.Stream, l *listener, to chan<- heard) {
	defer close(to)
	for {
		out := l.empty()
		h := heard{err: s.Recv(out)}
		if h.err == nil {
			if h.b, h.id, h.err = l.encode(out); h.err != nil {
				h.err = problem.Internal(h.err)
			}
		}
		select {
		case to <- h:
		case <-ctx.Done():
			return
		}
		if h.err != nil {
			return
		}
	}
}

// feed sends what the client sends. Its error is the client's.
func (x *exchange) feed(s client.Stream, first proto.Message, l *listener) error {
	if first != nil {
		_ = s.Send(first) // why it failed is what Recv returns
		return nil
	}
	for {
		b, err := l.recv()
		if errors.Is(err, io.EOF) {
			_ = s.CloseSend()
			return nil
		}
		if err != nil {
			return err
		}
		m, err := l.decode(b)
		if err != nil {
			return err
		}
		if err := s.Send(m); err != nil {
			return nil //nolint:nilerr // why it failed is what Recv returns
		}
	}
}

// errGone says that the client's connection failed.
var errGone = errors.New("the client is gone")

// pass sends what the service sends, until the end: nil for a good one. from is closed after an error, and when ctx ends.
func (x *exchange) pass(ctx context.Context, l *listener, from <-chan heard) error {
	wait := time.NewTimer(openWait)
	defer wait.Stop()
	beat := time.NewTicker(x.g.c.Heartbeat)
	defer beat.Stop()
	opened := false
	open := func() error {
		if opened {
			return nil
		}
		opened = true
		return l.open()
	}
	for {
		var err error
		select {
		case h, more := <-from:
			if !more { // ctx has ended, and who sends noticed first
				return ctx.Err()
			}
			if h.err != nil {
				if errors.Is(h.err, io.EOF) {
					return open()
				}
				return h.err
			}
			began := x.g.c.Now()
			if err = open(); err == nil {
				err = l.say(h)
			}
			beat.Reset(x.g.c.Heartbeat)
			if took := x.g.c.Now().Sub(began); err == nil && took > x.g.slowFrom {
				return problem.ResourceExhausted("SLOW_CLIENT", "a message took %v to be sent: read faster", took.Round(time.Second))
			}
		case <-wait.C:
			err = open()
		case <-beat.C:
			if err = open(); err == nil {
				err = l.beat()
			}
		case <-x.g.streams.left.Done():
			return errDraining()
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return errors.Join(errGone, err)
		}
		x.w.written()
	}
}

// told is what a client is told of the end of a stream.
func (x *exchange) told(ctx context.Context, err error) error {
	var mine *problem.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errGone):
		return problem.From(context.Canceled)
	case ctx.Err() != nil && errors.As(context.Cause(ctx), &mine):
		return mine
	case ctx.Err() != nil:
		return problem.From(ctx.Err())
	}
	return x.upstream(err)
}
