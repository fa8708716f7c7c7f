package outboxtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// A rolled-back change tells nothing. A committed one is told at once, with its trace: the relay here never looks by itself.
func (s *suite[A, B]) commits(t *testing.T) {
	b, who := s.Connect(t), consumer()
	type seen struct{ name, trace string }
	got := make(chan seen, 10)
	sub, err := outbox.Subscribe(b, s.DB, who, func(ctx context.Context, _ *sql.Tx, m A) error {
		got <- seen{name(m), telemetry.TraceID(ctx)}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	s.relay(t, b, func(c *outbox.RelayConfig) { c.Poll = time.Hour })
	eventually(t, "the relay to have the lease", func() bool { return s.count(t, "lease") == 1 })

	boom := errors.New("boom")
	ctx := telemetry.Ensure(t.Context())
	err = data.Tx(ctx, s.DB, func(tx *sql.Tx) error {
		return errors.Join(outbox.Append(ctx, tx, "k", event[A]("lost")), boom)
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if err := data.Tx(ctx, s.DB, func(tx *sql.Tx) error { return outbox.Append(ctx, tx, "k", event[A]("kept")) }); err != nil {
		t.Fatal(err)
	}
	select {
	case v := <-got:
		if want := (seen{"kept", telemetry.TraceID(ctx)}); v != want {
			t.Errorf("got %v, want %v", v, want)
		}
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	eventually(t, "the inbox row", func() bool { return s.count(t, "inbox WHERE consumer = $1", who) == 1 })
}

// Several transactions at a time append; two instances of the consumer share the events.
func (s *suite[A, B]) keysInOrder(t *testing.T) {
	const keys, each = 8, 6
	got := s.log()
	for range 2 {
		subscribe[A](t, s.Connect(t), got, nil)
	}
	s.relay(t, s.Connect(t), nil)
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for n := range each {
				s.add(t, fmt.Sprintf("key%d", k), event[A](fmt.Sprintf("key%d:%03d", k, n)))
			}
		})
	}
	wg.Wait()
	inOrder(t, got.wait(t, keys*each), keys, each)
	if n := s.count(t, "inbox WHERE consumer = $1", got.consumer); n != keys*each {
		t.Errorf("%d inbox rows, want %d", n, keys*each)
	}
}

// inOrder fails unless each key has its events once, in their order.
func inOrder(t *testing.T, got []string, keys, each int) {
	t.Helper()
	byKey := make(map[string][]string)
	for _, s := range got {
		key, _, _ := strings.Cut(s, ":")
		byKey[key] = append(byKey[key], s)
	}
	for k, list := range byKey {
		if len(list) != each || !slices.IsSorted(list) {
			t.Errorf("%s came as %v", k, list)
		}
	}
	if len(byKey) != keys {
		t.Errorf("%d keys, want %d", len(byKey), keys)
	}
}

// Two topics have two queues at the broker, and one may be far behind the other.
func (s *suite[A, B]) topicsTogether(t *testing.T) {
	got, raw := s.log(), s.Connect(t)
	b := outbox.Inbox{}.On(raw)
	failed := false
	subscribe[A](t, b, got, func(name string) error {
		if name == "2" && !failed {
			failed = true
			return errors.New("not yet")
		}
		return nil
	})
	subscribe[B](t, b, got, nil)
	s.relay(t, raw, nil)
	s.add(t, "k", event[B]("1"), event[A]("2"), event[B]("3"), event[B]("4"), event[A]("5"))
	if list := got.wait(t, 5); !slices.Equal(list, []string{"1", "2", "3", "4", "5"}) {
		t.Errorf("applied %v", list)
	}
}

func (s *suite[A, B]) wrongOrder(t *testing.T) {
	got, b := s.log(), s.Connect(t)
	subscribe[A](t, b, got, nil)
	list := []proto.Message{event[A]("1"), event[A]("2"), event[A]("3"), event[A]("4")}
	s.add(t, "k", list...)
	for _, i := range []int{3, 1, 0, 1, 2, 0, 3} {
		s.publish(t, b, list[i])
	}
	if list := got.wait(t, 4); !slices.Equal(list, []string{"1", "2", "3", "4"}) {
		t.Errorf("applied %v", list)
	}
	s.add(t, "other", event[A]("end"))
	s.relay(t, b, nil) // publishes them all once more
	if list := got.wait(t, 5); len(list) != 5 {
		t.Errorf("applied %v: one of them twice", list)
	}
}

func (s *suite[A, B]) tooLate(t *testing.T) {
	got, b := s.log(), s.Connect(t)
	subscribe[A](t, outbox.Inbox{Wait: 300 * time.Millisecond}.On(b), got, nil)
	one, two, three := event[A]("1"), event[A]("2"), event[A]("3")
	s.add(t, "k", one, two, three)
	s.publish(t, b, one)
	s.publish(t, b, three)
	if list := got.wait(t, 2); !slices.Equal(list, []string{"1", "3"}) {
		t.Errorf("applied %v", list)
	}
	s.publish(t, b, two)
	if d := dead(t, b, got.consumer, 1)[0]; !strings.HasPrefix(d.Reason, outbox.ReasonOutOfOrder) || d.Attempts != 1 {
		t.Errorf("dead after %d attempts because %q", d.Attempts, d.Reason)
	}
	if list := got.all(t); len(list) != 2 {
		t.Errorf("applied %v", list)
	}
	replay(t, b, got.consumer, 1)
	if list := got.wait(t, 3); list[2] != "2" {
		t.Errorf("applied %v", list)
	}
	if n := s.count(t, "inbox_gap"); n != 0 {
		t.Errorf("%d gaps are left", n)
	}
}

func replay(t *testing.T, b Broker, group string, n int) {
	t.Helper()
	replayed := 0
	eventually(t, "the replay", func() bool {
		k, err := b.ReplayDead(t.Context(), func(d events.DeadLetter) bool { return d.Group == group })
		if err != nil {
			t.Fatal(err)
		}
		replayed += k
		return replayed >= n
	})
	if replayed != n {
		t.Errorf("replayed %d, want %d", replayed, n)
	}
}

// A dead letter doesn't hold up what comes after it, and is applied when it is sent again.
func (s *suite[A, B]) poison(t *testing.T) {
	got, other, b := s.log(), s.log(), s.Connect(t)
	var mu sync.Mutex
	poisoned := true
	subscribe[A](t, b, got, func(name string) error {
		mu.Lock()
		defer mu.Unlock()
		if poisoned && name == "bad" {
			return errors.New("can't digest it")
		}
		return nil
	})
	subscribe[A](t, b, other, nil)
	s.relay(t, b, nil)
	s.add(t, "k", event[A]("bad"), event[A]("after"))
	s.add(t, "elsewhere", event[A]("fine"))
	s.add(t, "alone", event[A]("bad")) // nothing comes after it
	if list := got.wait(t, 2); slices.Contains(list, "bad") {
		t.Errorf("applied %v", list)
	}
	if d := dead(t, b, got.consumer, 2)[0]; d.Reason != "can't digest it" {
		t.Errorf("dead because %q", d.Reason)
	}
	mu.Lock()
	poisoned = false
	mu.Unlock()
	replay(t, b, got.consumer, 2)
	if list := got.wait(t, 4); list[2] != "bad" || list[3] != "bad" {
		t.Errorf("applied %v", list)
	}
	dead(t, b, got.consumer, 0)
	if n := s.count(t, "inbox_gap"); n != 0 {
		t.Errorf("%d gaps are left", n)
	}
	if list := other.wait(t, 4); len(list) != 4 {
		t.Errorf("another consumer applied %v", list)
	}
}

// The first event that a new consumer gets of an old key has predecessors that will never come.
func (s *suite[A, B]) latecomer(t *testing.T) {
	early, b := s.log(), s.Connect(t)
	subscribe[A](t, b, early, nil)
	s.relay(t, b, nil)
	s.add(t, "k", event[A]("1"), event[A]("2"))
	early.wait(t, 2)
	eventually(t, "both to be marked", func() bool { return s.count(t, "outbox WHERE published_at = 0") == 0 })
	late := s.log()
	subscribe[A](t, outbox.Inbox{Wait: time.Hour}.On(b), late, nil)
	s.add(t, "k", event[A]("3"), event[A]("4"))
	if list := late.wait(t, 2); !slices.Equal(list, []string{"3", "4"}) {
		t.Errorf("applied %v", list)
	}
	if n := s.count(t, "inbox_gap WHERE why <> 'before'"); n != 0 {
		t.Errorf("%d events count as missing", n)
	}
}

var _ broker.Broker = (*gate)(nil)
