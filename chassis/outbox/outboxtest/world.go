package outboxtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
)

// event returns an M whose id ends in name.
func event[M proto.Message](name string) proto.Message {
	var zero M
	m := zero.ProtoReflect().Type().New()
	m.Set(idField(m), protoreflect.ValueOfString(uuid.NewString()+"/"+name))
	return m.Interface()
}

func idField(m protoreflect.Message) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName("event_id")
}

// name is what event was given.
func name(m proto.Message) string {
	r := m.ProtoReflect()
	_, after, _ := strings.Cut(r.Get(idField(r)).String(), "/")
	return after
}

// add appends events of one key in one transaction.
func (s *suite[A, B]) add(t *testing.T, key string, list ...proto.Message) {
	t.Helper()
	err := data.Tx(t.Context(), s.DB, func(tx *sql.Tx) error {
		for _, m := range list {
			if err := outbox.Append(t.Context(), tx, key, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// relay runs one until the test ends, or stop is called.
func (s *suite[A, B]) relay(t *testing.T, b broker.Broker, change func(*outbox.RelayConfig)) (stop func()) {
	t.Helper()
	c := outbox.RelayConfig{
		DB: s.DB, Broker: b, Owner: uuid.NewString(), TTL: 15 * time.Second, Settle: 100 * time.Millisecond, Poll: 50 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&c)
	}
	r, err := outbox.NewRelay(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	stop = func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return stop
}

// applied is what a consumer has committed, in the order of its commits. It is in the database: what a transaction did that lost isn't there.
type applied struct {
	db       *sql.DB
	consumer string
}

func (s *suite[A, B]) log() *applied { return &applied{db: s.DB, consumer: consumer()} }

func (a *applied) add(ctx context.Context, tx *sql.Tx, name string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO outboxtest_log (consumer, n, name)
		SELECT $1, COALESCE(MAX(n), 0) + 1, $2 FROM outboxtest_log WHERE consumer = $1`, a.consumer, name)
	return err
}

func (a *applied) all(t *testing.T) (out []string) {
	t.Helper()
	rows, err := a.db.Query(`SELECT name FROM outboxtest_log WHERE consumer = $1 ORDER BY n`, a.consumer)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// wait returns when n are there.
func (a *applied) wait(t *testing.T, n int) (out []string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d applied events", n), func() bool {
		out = a.all(t)
		return len(out) >= n
	})
	return out
}

// subscribe applies events of type M until the test ends. fn may be nil.
func subscribe[M proto.Message](t *testing.T, b broker.Broker, got *applied, fn func(name string) error) broker.Subscriber {
	t.Helper()
	sub, err := outbox.Subscribe(b, got.db, got.consumer, func(ctx context.Context, tx *sql.Tx, m M) error {
		if fn != nil {
			if err := fn(name(m)); err != nil {
				return err
			}
		}
		return got.add(ctx, tx, name(m))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sub.Unsubscribe(); err != nil {
			t.Errorf("unsubscribe: %v", err)
		}
	})
	return sub
}

// stored is an outbox row as it would be published.
func (s *suite[A, B]) stored(t *testing.T, id string) (topic string, m *broker.Message) {
	t.Helper()
	var key, prior, trace string
	var seq int64
	m = &broker.Message{}
	err := s.DB.QueryRow(`SELECT topic, key, seq, prior, traceparent, body FROM outbox WHERE event_id = $1`, id).Scan(&topic, &key, &seq, &prior, &trace, &m.Body)
	if err != nil {
		t.Fatal(err)
	}
	m.Header = map[string]string{
		events.HeaderContentType: events.ContentType, events.HeaderEventID: id, events.HeaderTraceparent: trace,
		outbox.HeaderKey: key, outbox.HeaderSeq: fmt.Sprint(seq), outbox.HeaderPrior: prior,
		outbox.HeaderPriorAt: fmt.Sprint(time.Now().UnixMicro()),
	}
	return topic, m
}

// publish sends an event that was appended, past the relay.
func (s *suite[A, B]) publish(t *testing.T, b broker.Broker, m proto.Message) {
	t.Helper()
	r := m.ProtoReflect()
	topic, msg := s.stored(t, r.Get(idField(r)).String())
	msg.Header[events.HeaderAgain] = uuid.NewString() // JetStream would drop a second one
	if err := b.Publish(topic, msg); err != nil {
		t.Fatal(err)
	}
}

func (s *suite[A, B]) count(t *testing.T, where string, args ...any) int {
	t.Helper()
	var n int
	if err := s.DB.QueryRow("SELECT COUNT(*) FROM "+where, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// dead returns the group's dead letters when there are n.
func dead(t *testing.T, b Broker, group string, n int) []events.DeadLetter {
	t.Helper()
	var out []events.DeadLetter
	var err error
	eventually(t, fmt.Sprintf("%d dead letters", n), func() bool {
		var all []events.DeadLetter
		all, err = b.DeadLetters(t.Context(), 1000)
		out = nil
		for _, d := range all {
			if d.Group == group {
				out = append(out, d)
			}
		}
		return err == nil && len(out) >= n
	})
	if len(out) != n {
		t.Fatalf("%d dead letters, want %d: %v", len(out), n, out)
	}
	return out
}

// consumer is a name of its own.
func consumer() string { return "c-" + uuid.NewString()[:8] }

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// gate is a broker that can be shut for those who publish.
type gate struct {
	Broker
	before func(topic string, m *broker.Message) error
}

func (g *gate) Publish(topic string, m *broker.Message, opts ...broker.PublishOption) error {
	if err := g.before(topic, m); err != nil {
		return err
	}
	return g.Broker.Publish(topic, m, opts...)
}

// keeperGate is a gate before a broker that is a Keeper.
type keeperGate struct {
	*gate
	events.Keeper
}

func (g *keeperGate) PublishPlaced(ctx context.Context, topic string, m *broker.Message) (uint64, error) {
	if err := g.before(topic, m); err != nil {
		return 0, err
	}
	return g.Keeper.PublishPlaced(ctx, topic, m)
}

// gated puts before in front of publications.
func gated(b Broker, before func(topic string, m *broker.Message) error) broker.Broker {
	g := &gate{Broker: b, before: before}
	if k, ok := b.(events.Keeper); ok {
		return &keeperGate{gate: g, Keeper: k}
	}
	return g
}

var errShut = errors.New("the gate is shut")
