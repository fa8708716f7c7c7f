package lane

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"reflect"
	"testing"
	"time"

	"go-micro.dev/v4/metadata"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/chassis/problem"
)

func head() *Head {
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3}, TraceFlags: trace.FlagsSampled})
	return &Head{Path: "/shop.catalog.v1.Catalog/GetProduct", Timeout: 5 * time.Second, Span: span, Meta: metadata.Metadata{"Tenant": "t1", "": "x"}}
}

func TestHeadGoesThroughTheWire(t *testing.T) {
	for _, want := range []*Head{head(), {Path: "/a/b"}, {Path: "", Timeout: math.MaxInt64}} {
		got, path, rest, err := readHead(append(want.append(nil), "message"...))
		got.Path = string(path)
		want.Timeout = want.Timeout.Truncate(time.Microsecond)
		got.Timeout = got.Timeout.Truncate(time.Microsecond)
		if err != nil || string(rest) != "message" || !reflect.DeepEqual(&got, want) {
			t.Errorf("sent %+v, got %+v and %q, %v", want, got, rest, err)
		}
	}
	// A deadline that is nearly there is still one.
	if got, _, _, _ := readHead((&Head{Timeout: 1}).append(nil)); got.Timeout != time.Microsecond {
		t.Errorf("a nanosecond became %v", got.Timeout)
	}
}

func FuzzHead(f *testing.F) {
	f.Add(head().append(nil))
	f.Add([]byte{0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, path, _, err := readHead(b)
		if err != nil {
			return
		}
		h.Path = string(path)
		again, path, rest, err := readHead(h.append(nil))
		again.Path = string(path)
		if err != nil || len(rest) > 0 || !reflect.DeepEqual(h, again) {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add(appendStatus(nil, problem.Invalid(problem.Field{Path: "a", Message: "b"}), true))
	f.Add(appendStatus(nil, problem.NotFound("X", "no"), false))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, refused, err := readStatus(b)
		if err != nil || e == nil {
			return
		}
		again, refusedToo, err := readStatus(appendStatus(nil, e, refused))
		if err != nil || again.Code != e.Code || again.Reason != e.Reason || again.Message != e.Message || refused != refusedToo || e.Code == codes.OK {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}

func FuzzSettings(f *testing.F) {
	f.Add(settings{1 << 20, 1000, 1 << 16}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readSettings(b)
		if err != nil {
			return
		}
		if again, err := readSettings(s.append(nil)); err != nil || again != s {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 1, 7, 0, 0, 0, 1, 'x'})
	f.Add([]byte{0xff, 0xff, 0xff, 7, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newReader(bytes.NewReader(b), 1<<20)
		n := 0
		for {
			fr, err := r.next()
			if err != nil {
				if errors.Is(err, io.EOF) && n != len(b) {
					t.Errorf("ended after %d of %d bytes", n, len(b))
				}
				return
			}
			n += headerSize + len(fr.payload)
		}
	})
}

// Whatever a client sends after a good beginning, the server lives, and lets go of it when it is gone.
func FuzzServer(f *testing.F) {
	frame := func(k kind, id uint32, payload []byte) []byte {
		b := append(appendHeader(nil, k, id), payload...)
		finish(b, 0)
		return b
	}
	msg := []byte{10, 1, 'x'}
	f.Add(frame(callFrame, 1, append((&Head{Path: "/echo"}).append(nil), msg...)))
	f.Add(bytes.Join([][]byte{
		frame(openFrame, 1, (&Head{Path: "/talk"}).append(nil)), frame(dataFrame, 1, msg), frame(endFrame, 1, nil), frame(dataFrame, 1, msg),
	}, nil))
	f.Add(bytes.Join([][]byte{frame(openFrame, 3, (&Head{Path: "/talk"}).append(nil)), frame(windowFrame, 3, []byte{200, 1}), frame(cancelFrame, 3, nil)}, nil))
	f.Add(frame(pingFrame, 0, []byte("12345678")))
	f.Add(frame(goAwayFrame, 0, nil))
	talk := method{stream: func(_ context.Context, s *Stream) error {
		for {
			var in wrapperspb.StringValue
			if err := s.Recv(&in); err != nil {
				return err
			}
			if err := s.Send(&in); err != nil {
				return err
			}
		}
	}}
	f.Fuzz(func(t *testing.T, b []byte) {
		client, server := net.Pipe()
		w := begin(t, server, config(), map[string]method{"/echo": {unary: echo}, "/talk": talk})
		go func() { _, _ = io.Copy(io.Discard, client) }()
		hello := settings{1 << 20, 10, 1 << 16}.append(appendHeader([]byte(Magic), settingsFrame, 0))
		finish(hello, len(Magic))
		_, _ = client.Write(append(hello, b...))
		_ = client.Close()
		select {
		case <-w.served:
		case <-time.After(5 * time.Second):
			t.Fatal("the server holds on")
		}
	})
}

// Whatever a server answers, the client lives.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 0, 0, byte(replyFrame), 0, 0, 0, 1})
	f.Add(appendStatus([]byte{0, 0, 7, byte(statusFrame), 0, 0, 0, 1}, problem.NotFound("X", ""), true))
	f.Add([]byte{0, 0, 4, byte(goAwayFrame), 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		client, server := net.Pipe()
		go func() {
			hello := settings{1 << 20, 10, 1 << 16}.append(appendHeader(nil, settingsFrame, 0))
			finish(hello, 0)
			buf := make([]byte, 1<<10)
			_, _ = server.Read(buf) // hello
			_, _ = server.Write(hello)
			_, _ = server.Read(buf) // the call
			_, _ = server.Write(b)
			_ = server.Close()
		}()
		c, err := Dial(t.Context(), client, config())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = call(t.Context(), c, "/echo", "x")
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
