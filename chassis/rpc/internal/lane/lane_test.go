package lane

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/metadata"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
	"github.com/cleavehq/cleave/chassis/rpc/internal/work"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// method is one whose handlers a test gives.
type method struct {
	unary  func(context.Context, string) (string, error)
	stream func(context.Context, *Stream) error
}

func (m method) Streamed() bool            { return m.stream != nil }
func (m method) NewRequest() proto.Message { return &wrapperspb.StringValue{} }

func (m method) Unary(ctx *callctx.Context, in proto.Message) (proto.Message, error) {
	out, err := m.unary(ctx, in.(*wrapperspb.StringValue).GetValue())
	return wrapperspb.String(out), err
}

func (m method) Stream(ctx *callctx.Context, s *Stream) error { return m.stream(ctx, s) }

func echo(_ context.Context, in string) (string, error) { return in, nil }

func config() Config { return Config{MaxMessage: 1 << 20, MaxCalls: 1000, Window: 64 << 10} }

// world is a server's side and what it serves.
type world struct {
	*Server
	workers work.Pool
	served  chan error
}

func begin(t testing.TB, nc net.Conn, conf Config, methods map[string]method) *world {
	t.Helper()
	keys, err := callctx.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{served: make(chan error, 1)}
	w.Server = NewServer(nc, conf, &Service{
		Keys: keys, Workers: &w.workers, Incoming: func(md metadata.Metadata) metadata.Metadata { return md },
		Find: func(path []byte) Method {
			m, ok := methods[string(path)]
			if !ok {
				return nil
			}
			return m
		},
	})
	go func() { w.served <- w.Serve() }()
	t.Cleanup(func() {
		w.mu.Lock()
		w.fail(net.ErrClosed)
		w.mu.Unlock()
		w.workers.Close()
	})
	return w
}

// connected returns both ends of a TCP connection.
func connected(t testing.TB) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func open(t testing.TB, conf Config, methods map[string]method) (*Client, *world) {
	t.Helper()
	a, b := connected(t)
	w := begin(t, b, conf, methods)
	c, err := Dial(t.Context(), a, config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, w
}

func call(ctx context.Context, c *Client, path, in string) (string, error) {
	out := &wrapperspb.StringValue{}
	err := c.Call(ctx, &Head{Path: path}, wrapperspb.String(in), out)
	return out.GetValue(), err
}

func TestManyCallsAtOnce(t *testing.T) {
	c, _ := open(t, config(), map[string]method{"/echo": {unary: echo}})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for j := range 100 {
				in := strings.Repeat(string(rune('a'+i%26)), i*j)
				if out, err := call(t.Context(), c, "/echo", in); err != nil || out != in {
					t.Errorf("sent %d bytes, got %d, %v", len(in), len(out), err)
				}
			}
		})
	}
	all.Wait()
	for _, n := range []int{small, readBuffer - headerSize, readBuffer, decodeThere + 1, 1<<20 - 16} {
		in := strings.Repeat("x", n)
		if out, err := call(t.Context(), c, "/echo", in); err != nil || out != in {
			t.Errorf("%d bytes: got %d, %v", n, len(out), err)
		}
	}
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != code {
		t.Errorf("got %v, want %v", err, code)
	}
}

func TestRefusals(t *testing.T) {
	c, _ := open(t, config(), map[string]method{
		"/echo":   {unary: echo},
		"/large":  {unary: func(context.Context, string) (string, error) { return strings.Repeat("x", 2<<20), nil }},
		"/stream": {stream: func(context.Context, *Stream) error { return nil }},
		"/talk": {unary: func(context.Context, string) (string, error) {
			return "", problem.Aborted("TALK", "%s", strings.Repeat("x", 1<<20))
		}},
	})
	_, err := call(t.Context(), c, "/none", "")
	wantCode(t, err, codes.Unimplemented)
	_, err = call(t.Context(), c, "/stream", "")
	wantCode(t, err, codes.Unimplemented)
	_, err = call(t.Context(), c, "/echo", strings.Repeat("x", 2<<20))
	wantCode(t, err, codes.ResourceExhausted)
	_, err = call(t.Context(), c, "/large", "")
	wantCode(t, err, codes.ResourceExhausted)
	_, err = call(t.Context(), c, "/talk", "")
	wantCode(t, err, codes.Aborted)
	_, err = call(t.Context(), c, "/echo", "\xff")
	wantCode(t, err, codes.Internal)
	err = c.Call(t.Context(), &Head{Path: strings.Repeat("x", maxHead)}, wrapperspb.String(""), &wrapperspb.StringValue{})
	wantCode(t, err, codes.ResourceExhausted)
	if out, err := call(t.Context(), c, "/echo", "still here"); err != nil || out != "still here" {
		t.Errorf("afterwards: %q, %v", out, err)
	}
}

// A call beyond what the server takes waits, and ends with its context.
func TestFurtherCallsWait(t *testing.T) {
	release := make(chan struct{})
	conf := config()
	conf.MaxCalls = 2
	c, w := open(t, conf, map[string]method{"/wait": {unary: func(context.Context, string) (string, error) {
		<-release
		return "", nil
	}}})
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := call(t.Context(), c, "/wait", ""); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "two run", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.calls) == 2
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := call(ctx, c, "/wait", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(release)
	all.Wait()
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}

func TestCancelReachesTheHandler(t *testing.T) {
	ended := make(chan error, 1)
	c, _ := open(t, config(), map[string]method{"/wait": {unary: func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return "", ctx.Err()
	}}})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := call(ctx, c, "/wait", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended with %v", err)
	}
}

// What was sent when the connection broke may have been done; what was not sent surely wasn't.
func TestWhatWasSentIsKnown(t *testing.T) {
	started := make(chan struct{})
	c, w := open(t, config(), map[string]method{"/wait": {unary: func(ctx context.Context, _ string) (string, error) {
		close(started)
		<-ctx.Done()
		return "", ctx.Err()
	}}})
	got := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), c, "/wait", "")
		got <- err
	}()
	<-started
	w.mu.Lock()
	w.fail(net.ErrClosed)
	w.mu.Unlock()
	var b *Broken
	if err := <-got; !errors.As(err, &b) || !b.Sent {
		t.Errorf("got %v, want a broken connection with the call sent", err)
	}
	if err := <-w.served; err != nil {
		t.Errorf("served until %v", err)
	}
	if _, err := call(t.Context(), c, "/wait", ""); !errors.As(err, &b) || b.Sent {
		t.Errorf("got %v, want a broken connection with the call not sent", err)
	}
}

// unread is a connection whose Write waits until it is closed, and then has written nothing.
type unread struct {
	net.Conn
	open chan struct{}
}

func (u *unread) Write([]byte) (int, error) {
	<-u.open
	return 0, net.ErrClosed
}

func (u *unread) Close() error {
	defer func() { _ = recover() }() // closed before
	close(u.open)
	return u.Conn.Close()
}

func TestWhatWaitsToBeWrittenIsNotSent(t *testing.T) {
	a, b := connected(t)
	begin(t, b, config(), map[string]method{"/echo": {unary: echo}})
	c, err := Dial(t.Context(), a, config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	c.mu.Lock()
	c.nc = &unread{a, make(chan struct{})}
	c.mu.Unlock()
	const n = 3
	got := make(chan error, n)
	for i := range n {
		go func() {
			_, err := call(t.Context(), c, "/echo", "")
			got <- err
		}()
		eventually(t, "the call is queued", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.calls) == i+1 && c.handed > 0
		})
	}
	c.mu.Lock()
	c.fail(io.ErrClosedPipe)
	c.mu.Unlock()
	sent := 0
	for range n {
		var b *Broken
		if err := <-got; !errors.As(err, &b) {
			t.Fatalf("got %v", err)
		}
		if b.Sent {
			sent++
		}
	}
	if sent != 1 {
		t.Errorf("%d of %d count as sent, want the one that was being written", sent, n)
	}
}

func TestDrain(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	c, w := open(t, config(), map[string]method{"/wait": {unary: func(context.Context, string) (string, error) {
		close(started)
		<-finish
		return "done", nil
	}}})
	type answer struct {
		out string
		err error
	}
	got := make(chan answer, 1)
	go func() {
		out, err := call(t.Context(), c, "/wait", "")
		got <- answer{out, err}
	}()
	<-started
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		w.Drain(t.Context())
	}()
	eventually(t, "the client is told", func() bool { return !c.Usable() })
	var b *Broken
	if _, err := call(t.Context(), c, "/wait", ""); !errors.As(err, &b) || b.Sent {
		t.Errorf("a call of a connection that drains: %v", err)
	}
	close(finish)
	if a := <-got; a.err != nil || a.out != "done" {
		t.Errorf("the running call got %q, %v", a.out, a.err)
	}
	<-drained
	eventually(t, "the client closes", c.Ended)
}

// A call that crosses a GOAWAY was not done, and is told so.
func TestWhatComesAfterGoAwayWasNotDone(t *testing.T) {
	a, b := connected(t)
	go func() { // a server that takes one call and goes away after none
		r := newReader(b, 1<<20)
		r.skip, _ = len(Magic), r.r
		_, _ = r.r.Peek(len(Magic))
		_, _ = r.next()
		hello := settings{1 << 20, 10, 1 << 16}.append(appendHeader(nil, settingsFrame, 0))
		finish(hello, 0)
		_, _ = b.Write(hello)
		_, _ = r.next()
		away := binary.BigEndian.AppendUint32(appendHeader(nil, goAwayFrame, 0), 0)
		finish(away, 0)
		_, _ = b.Write(away)
	}()
	c, err := Dial(t.Context(), a, config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var broken *Broken
	if _, err := call(t.Context(), c, "/echo", ""); !errors.As(err, &broken) || broken.Sent {
		t.Errorf("got %v", err)
	}
}
