package lane

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/chassis/problem"
)

func TestBothSidesStream(t *testing.T) {
	c, _ := open(t, config(), map[string]method{"/sum": {stream: func(_ context.Context, s *Stream) error {
		for {
			var in wrapperspb.StringValue
			if err := s.Recv(&in); errors.Is(err, io.EOF) {
				return problem.NotFound("END", "no more")
			} else if err != nil {
				return err
			}
			if err := s.Send(&in); err != nil {
				return err
			}
		}
	}}})
	s, err := c.Open(t.Context(), &Head{Path: "/sum"})
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	go func() {
		for range n {
			if err := s.Send(wrapperspb.String(strings.Repeat("x", 500))); err != nil {
				t.Error(err)
				break
			}
		}
		s.CloseSend()
	}()
	got := 0
	for {
		var out wrapperspb.StringValue
		if err = s.Recv(&out); err != nil {
			break
		}
		got++
	}
	wantCode(t, err, codes.NotFound)
	if got != n {
		t.Errorf("%d of %d messages", got, n)
	}
	if err := s.Send(wrapperspb.String("x")); !errors.Is(err, io.EOF) {
		t.Errorf("Send after the end: %v", err)
	}
}

// What a stream's reader doesn't take is bounded by the window, and other calls go on.
func TestAStalledStreamHoldsNobodyElse(t *testing.T) {
	c, w := open(t, config(), map[string]method{
		"/echo": {unary: echo},
		"/flood": {stream: func(_ context.Context, s *Stream) error {
			for {
				if err := s.Send(wrapperspb.String(strings.Repeat("x", 4<<10))); err != nil {
					return err
				}
			}
		}},
	})
	s, err := c.Open(t.Context(), &Head{Path: "/flood"})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the window is used up", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return s.waiting >= config().Window
	})
	if out, err := call(t.Context(), c, "/echo", "x"); err != nil || out != "x" {
		t.Errorf("beside it: %q, %v", out, err)
	}
	c.mu.Lock()
	if s.waiting > config().Window+5<<10 {
		t.Errorf("%d bytes wait", s.waiting)
	}
	c.mu.Unlock()
	s.Cancel()
	eventually(t, "the handler ends", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.calls) == 0
	})
}

func TestASilentPeerIsDead(t *testing.T) {
	c, w := open(t, config(), map[string]method{"/echo": {unary: echo}})
	c.heard.Store(false) // before: the answer may be there when keepAlive returns
	c.keepAlive(clientPing)
	eventually(t, "a ping is answered", c.heard.Load)
	w.keepAlive(serverDead)
	if err := <-w.served; err == nil {
		t.Error("the server keeps a connection to a client that is silent")
	}
	c, _ = open(t, config(), nil)
	c.keepAlive(clientDead)
	if !c.Ended() {
		t.Error("the client keeps a connection to a server that is silent")
	}
}

func TestAPeerThatDoesNotKnowTheLane(t *testing.T) {
	a, b := connected(t)
	go func() { _, _ = io.WriteString(b, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") }()
	if _, err := Dial(t.Context(), a, config()); !errors.Is(err, errProtocol) {
		t.Errorf("got %v", err)
	}
	a, _ = connected(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, a, config()); err == nil {
		t.Error("a silent server was taken for one")
	}
}
