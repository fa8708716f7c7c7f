package outboxtest

import (
	"slices"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/outbox"
)

// kept: with a broker that can be asked until every group is done, else for a time.
func (s *suite[A, B]) kept(t *testing.T) {
	if s.Lose == nil {
		s.keptForATime(t)
		return
	}
	s.keptUntilDone(t)
}

func (s *suite[A, B]) keptUntilDone(t *testing.T) {
	got, b := s.log(), s.Connect(t)
	subscribe[A](t, b, got, nil)
	slow := s.log()
	sub := subscribe[A](t, b, slow, nil)
	if err := sub.Unsubscribe(); err != nil { // its group stays
		t.Fatal(err)
	}
	s.relay(t, b, func(c *outbox.RelayConfig) { c.Settle = 10 * time.Millisecond })
	s.add(t, "k", event[A]("1"), event[A]("2"))
	got.wait(t, 2)
	eventually(t, "both to be marked", func() bool { return s.count(t, "outbox WHERE published_at > 0") == 2 })
	looks := s.watchReconciler(t)
	if n := s.count(t, "outbox"); n != 2 {
		t.Errorf("%d rows after %d looks of the reconciler, want 2 while a group isn't done", n, looks)
	}
	subscribe[A](t, b, slow, nil)
	eventually(t, "the rows to be deleted", func() bool { return s.count(t, "outbox") == 0 })
}

// watchReconciler returns when the reconciler has certainly looked at every row again: it has learned of a group that is made now.
func (s *suite[A, B]) watchReconciler(t *testing.T) int {
	t.Helper()
	for i := range 2 {
		before := s.count(t, "outbox_consumer")
		subscribe[B](t, s.Connect(t), s.log(), nil)
		eventually(t, "the reconciler to look", func() bool { return s.count(t, "outbox_consumer") > before })
		if i == 1 {
			break
		}
	}
	return 2
}

// lost: a broker that can't be asked has what it acknowledged on disk.
func (s *suite[A, B]) lost(t *testing.T) {
	if s.Lose == nil {
		return
	}
	got, b := s.log(), s.Connect(t)
	sub := subscribe[A](t, b, got, nil)
	s.relay(t, b, func(c *outbox.RelayConfig) { c.Settle = 10 * time.Millisecond })
	s.add(t, "k", event[A]("1"))
	got.wait(t, 1)
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	s.add(t, "k", event[A]("2"), event[A]("3"))
	eventually(t, "the events to be published", func() bool { return s.count(t, "outbox WHERE published_at = 0") == 0 })
	s.watchReconciler(t)
	s.Lose(t)
	subscribe[A](t, b, got, nil)
	if list := got.wait(t, 3); !slices.Equal(list, []string{"1", "2", "3"}) {
		t.Errorf("applied %v", list)
	}
	eventually(t, "the rows to be deleted", func() bool { return s.count(t, "outbox") == 0 })
	if list := got.all(t); len(list) != 3 {
		t.Errorf("applied %v", list)
	}
}

func (s *suite[A, B]) keptForATime(t *testing.T) {
	got, b := s.log(), s.Connect(t)
	subscribe[A](t, b, got, nil)
	const keep = 500 * time.Millisecond
	s.relay(t, b, func(c *outbox.RelayConfig) { c.Keep, c.Settle = keep, 10*time.Millisecond })
	began := time.Now()
	s.add(t, "k", event[A]("1"))
	got.wait(t, 1)
	eventually(t, "the row to be deleted", func() bool { return s.count(t, "outbox") == 0 })
	if d := time.Since(began); d < keep {
		t.Errorf("a row stayed for %s, want %s", d, keep)
	}
}
