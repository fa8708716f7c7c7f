package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/chassis/outbox"
)

// Every step fails once, before it and after it. A process that dies there leaves the same behind.
func (s *suite[A, B]) failures(t *testing.T) {
	for _, point := range []string{
		"outbox.publish.before", "outbox.publish.after", "outbox.mark.before", "outbox.mark.after", "inbox.apply.before", "inbox.apply.after",
	} {
		t.Run(point, func(t *testing.T) {
			points, err := fault.Parse(point + "=error*1")
			if err != nil {
				t.Fatal(err)
			}
			got, b := s.log(), s.Connect(t)
			subscribe[A](t, outbox.Inbox{Fault: points}.On(b), got, nil)
			stop := s.relay(t, b, func(c *outbox.RelayConfig) { c.Fault = points })
			s.add(t, point, event[A]("1"), event[A]("2"))
			eventually(t, "both to be applied", func() bool { return s.count(t, "inbox WHERE consumer = $1", got.consumer) == 2 })
			eventually(t, "both to be marked", func() bool { return s.count(t, "outbox WHERE key = $1 AND published_at = 0", point) == 0 })
			stop()
			if list := got.wait(t, 2); fmt.Sprint(list) != "[1 2]" {
				t.Errorf("applied %v", list)
			}
			if points.Hits(point) < 1 {
				t.Error("the step wasn't taken")
			}
		})
	}
}

// fenced tells when a log has an ErrFenced in it.
type fenced struct {
	slog.Handler
	seen chan struct{}
	once *sync.Once
}

func (f fenced) Enabled(context.Context, slog.Level) bool { return true }
func (f fenced) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f fenced) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && errors.Is(err, lease.ErrFenced) {
			f.once.Do(func() { close(f.seen) })
		}
		return true
	})
	return nil
}

// The first owner stands still between its publication and its mark, and another takes over.
func (s *suite[A, B]) staleOwner(t *testing.T) {
	b := s.Connect(t)
	stuck, free, second := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once sync.Once
	log := fenced{Handler: slog.DiscardHandler, seen: make(chan struct{}), once: &sync.Once{}}
	stop := s.relay(t, gated(b, func(string, *broker.Message) error {
		once.Do(func() { close(stuck) })
		<-free
		return nil
	}), func(c *outbox.RelayConfig) { c.Log, c.TTL = slog.New(log), time.Hour }) // it never notices by itself
	s.add(t, "k", event[A]("1"))
	receive(t, stuck, "the first owner to publish")
	if _, err := s.DB.Exec(`UPDATE lease SET owner = ''`); err != nil { // as if its time were over
		t.Fatal(err)
	}
	s.relay(t, gated(b, func(string, *broker.Message) error { <-second; return nil }), nil)
	eventually(t, "the second owner", func() bool { return s.count(t, "lease WHERE epoch = 2 AND owner <> ''") == 1 })
	close(free)
	receive(t, log.seen, "the first owner to be refused")
	if n := s.count(t, "outbox WHERE published_at > 0"); n != 0 {
		t.Error("a stale owner marked an event")
	}
	close(second)
	eventually(t, "the second owner to mark it", func() bool { return s.count(t, "outbox WHERE published_at = 0") == 0 })
	stop()
}

func receive(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
	}
}

// More than a thousand events pile up while the broker is away; the relay holds few of them at a time, and in the end they come in order.
func (s *suite[A, B]) outage(t *testing.T) {
	const keys, each, batch, lanes = 20, 60, 64, 8
	b := s.Connect(t)
	var mu sync.Mutex
	var got []string
	sub, err := events.SubscribeMessages(b, consumer(), func(_ context.Context, _ map[string]string, m A) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, name(m))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	var shut atomic.Bool
	var inside, most, tried atomic.Int64
	shut.Store(true)
	s.relay(t, gated(b, func(string, *broker.Message) error {
		tried.Add(1)
		n := inside.Add(1)
		defer inside.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if shut.Load() {
			return errShut
		}
		return nil
	}), func(c *outbox.RelayConfig) { c.Batch, c.Lanes = batch, lanes })
	for k := range keys {
		list := make([]proto.Message, each)
		for n := range list {
			list[n] = event[A](fmt.Sprintf("key%d:%03d", k, n))
		}
		s.add(t, fmt.Sprintf("key%d", k), list...)
	}
	eventually(t, "a few tries", func() bool { return tried.Load() > 3 })
	if n := s.count(t, "outbox WHERE published_at = 0"); n != keys*each {
		t.Errorf("%d events wait, want %d", n, keys*each)
	}
	shut.Store(false)
	eventually(t, "all to come", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= keys*each
	})
	inOrder(t, got, keys, each)
	if most.Load() > lanes {
		t.Errorf("%d publications at a time, want at most %d", most.Load(), lanes)
	}
	eventually(t, "all to be marked", func() bool { return s.count(t, "outbox WHERE published_at = 0") == 0 })
}

func (s *suite[A, B]) stuckKey(t *testing.T) {
	const others = 20
	b, got := s.Connect(t), s.log()
	subscribe[A](t, b, got, nil)
	var mended atomic.Bool
	var tried atomic.Int64
	s.relay(t, gated(b, func(_ string, m *broker.Message) error {
		if m.Header[outbox.HeaderKey] == "stuck" && !mended.Load() {
			tried.Add(1)
			return errShut
		}
		return nil
	}), func(c *outbox.RelayConfig) { c.Batch = 4 })
	s.add(t, "stuck", event[A]("bad"), event[A]("after1"), event[A]("after2"), event[A]("after3"), event[A]("after4"))
	for i := range others {
		s.add(t, fmt.Sprintf("other%d", i), event[A](fmt.Sprintf("other%d", i)))
	}
	got.wait(t, others)
	eventually(t, "a second try", func() bool { return tried.Load() > 1 })
	mended.Store(true)
	list := got.wait(t, others+5)
	if fmt.Sprint(list[others:]) != "[bad after1 after2 after3 after4]" {
		t.Errorf("at last came %v", list[others:])
	}
}
