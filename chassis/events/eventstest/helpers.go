package eventstest

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
)

func message(i int) *broker.Message {
	return &broker.Message{
		Header: map[string]string{events.HeaderEventID: newID(), "Number": strconv.Itoa(i), "lower-case": "kept"},
		Body:   []byte("message " + strconv.Itoa(i)),
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// log collects what handlers saw.
type log struct {
	mu   sync.Mutex
	seen []string
	more chan struct{}
}

func newLog() *log { return &log{more: make(chan struct{}, 1)} }

func (l *log) add(s string) int {
	l.mu.Lock()
	l.seen = append(l.seen, s)
	n := len(l.seen)
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return n
}

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.seen...)
}

// wait returns when n entries are there.
func (l *log) wait(t *testing.T, n int) []string {
	t.Helper()
	timeout := time.After(patience)
	for {
		if all := l.all(); len(all) >= n {
			return all
		}
		select {
		case <-l.more:
		case <-timeout:
			t.Fatalf("waited %s for %d deliveries, got %d: %v", patience, n, len(l.all()), l.all())
		}
	}
}

// once fails unless every body came exactly once.
func once(t *testing.T, got []string, n int) {
	t.Helper()
	count := make(map[string]int)
	for _, s := range got {
		count[s]++
	}
	for i := range n {
		if s := "message " + strconv.Itoa(i); count[s] != 1 {
			t.Errorf("%q came %d times, want once", s, count[s])
		}
	}
	if len(got) != n {
		t.Errorf("%d deliveries, want %d", len(got), n)
	}
}

func subscribe(t *testing.T, b broker.Broker, topic string, h broker.Handler, opts ...broker.SubscribeOption) broker.Subscriber {
	t.Helper()
	s, err := b.Subscribe(topic, h, opts...)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	return s
}

func publish(t *testing.T, b broker.Broker, topic string, m *broker.Message) {
	t.Helper()
	if err := b.Publish(topic, m); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

func waitDead(t *testing.T, b Broker, n int) []events.DeadLetter {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := b.DeadLetters(ctx, n+1)
		if err == nil && len(list) == n {
			return list
		}
		if len(list) > n {
			t.Fatalf("%d dead letters, want %d: %v", len(list), n, list)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s for %d dead letters, got %d: %v", patience, n, len(list), err)
		}
	}
}

func noDead(t *testing.T, b Broker) {
	t.Helper()
	list, err := b.DeadLetters(context.Background(), 1)
	if err != nil || len(list) != 0 {
		t.Errorf("dead letters: %v, %v", list, err)
	}
}

// receive takes one value, or fails.
func receive[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		panic("unreachable")
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}
