package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func add(t *testing.T, db *sql.DB, key string, m proto.Message) error {
	t.Helper()
	return data.Tx(t.Context(), db, func(tx *sql.Tx) error { return outbox.Append(t.Context(), tx, key, m) })
}

// ofSize is an event whose body has a little more than n bytes.
func ofSize(n int) *catalogv1.ProductChanged {
	return &catalogv1.ProductChanged{Product: &catalogv1.Product{DescriptionHtml: strings.Repeat("x", n)}}
}

func TestAppendRefuses(t *testing.T) {
	datatest.Each(t, "shop", nil, func(t *testing.T, db *sql.DB) {
		for name, err := range map[string]error{
			"no key":      add(t, db, "", ofSize(1)),
			"a long key":  add(t, db, strings.Repeat("k", 201), ofSize(1)),
			"a bad key":   add(t, db, "a\nb", ofSize(1)),
			"no event_id": add(t, db, "k", wrapperspb.String("x")),
		} {
			if err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		if err := add(t, db, "k", ofSize(events.MaxMessage)); !errors.Is(err, outbox.ErrTooLong) {
			t.Errorf("a long event: %v", err)
		}
		m := ofSize(1)
		if err := add(t, db, "k", m); err != nil || m.GetEventId() == "" {
			t.Errorf("id %q, %v", m.GetEventId(), err)
		}
		if err := add(t, db, "k2", m); !data.IsUnique(err) {
			t.Errorf("an event twice: %v", err)
		}
	}, outbox.Schema())
}

func TestABatchIsBounded(t *testing.T) {
	datatest.Each(t, "shop", nil, func(t *testing.T, db *sql.DB) {
		r, err := outbox.NewRelay(outbox.RelayConfig{DB: db, Broker: broker.NewMemoryBroker(), Owner: "me", Batch: 10})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			if err := add(t, db, fmt.Sprint(i), ofSize(100)); err != nil {
				t.Fatal(err)
			}
		}
		if n, _, err := outbox.Pending(t.Context(), r); err != nil || n != 10 {
			t.Errorf("%d events at once (%v), want 10", n, err)
		}
		if _, err := db.Exec(`DELETE FROM outbox`); err != nil {
			t.Fatal(err)
		}
		const big = 1_000_000
		for i := range 8 {
			if err := add(t, db, fmt.Sprint("big", i), ofSize(big)); err != nil {
				t.Fatal(err)
			}
		}
		if n, size, err := outbox.Pending(t.Context(), r); err != nil || n != 5 || size > 4<<20+big {
			t.Errorf("%d events, %d bytes at once (%v), want 5", n, size, err)
		}
	}, outbox.Schema())
}

// memory is a broker whose deliveries a test makes itself.
type memory struct {
	broker.Broker
	handler broker.Handler
}

func (m *memory) Subscribe(_ string, h broker.Handler, _ ...broker.SubscribeOption) (broker.Subscriber, error) {
	m.handler = h
	return nil, nil //nolint:nilnil // nobody unsubscribes
}

type delivery struct {
	broker.Event
	m *broker.Message
}

func (d delivery) Message() *broker.Message { return d.m }

// An inbox row is cleared away after a time. The event is still known by its number.
func TestOnceOutlivesTheInboxRow(t *testing.T) {
	datatest.Each(t, "shop", nil, func(t *testing.T, db *sql.DB) {
		b, applied := &memory{}, 0
		now := time.Now()
		in := outbox.Inbox{Now: func() time.Time { return now }}
		_, err := outbox.Subscribe(in.On(b), db, "reader", func(context.Context, *sql.Tx, *catalogv1.ProductChanged) error {
			applied++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		body, err := proto.Marshal(&catalogv1.ProductChanged{EventId: "e1"})
		if err != nil {
			t.Fatal(err)
		}
		event := delivery{m: &broker.Message{Body: body, Header: map[string]string{
			events.HeaderContentType: events.ContentType, events.HeaderEventID: "e1", outbox.HeaderKey: "k", outbox.HeaderSeq: "1",
		}}}
		r, err := outbox.NewRelay(outbox.RelayConfig{DB: db, Broker: b, Owner: "me", Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		rows := func() (n int) {
			if err := db.QueryRow(`SELECT COUNT(*) FROM inbox`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for _, later := range []time.Duration{0, 29 * 24 * time.Hour, 2 * 24 * time.Hour} {
			now = now.Add(later)
			if err := errors.Join(b.handler(event), outbox.Tidy(t.Context(), r), b.handler(event)); err != nil {
				t.Fatal(err)
			}
		}
		if rows() != 0 || applied != 1 {
			t.Errorf("%d rows after 31 days, and it was applied %d times", rows(), applied)
		}
	}, outbox.Schema())
}

func TestStampsAreChecked(t *testing.T) {
	good := map[string]string{outbox.HeaderKey: "k", outbox.HeaderSeq: "3", outbox.HeaderPrior: "a.B=1 c.D=2", outbox.HeaderPriorAt: "17"}
	if err := outbox.CheckStamp(good); err != nil {
		t.Error(err)
	}
	if err := outbox.CheckStamp(nil); err != nil {
		t.Errorf("no stamp: %v", err)
	}
	for _, bad := range [][2]string{
		{outbox.HeaderSeq, ""}, {outbox.HeaderSeq, "0"}, {outbox.HeaderSeq, "x"}, {outbox.HeaderPrior, "a.B"}, {outbox.HeaderPrior, "a.B=3"},
		{outbox.HeaderPrior, "=x"}, {outbox.HeaderPriorAt, "soon"},
	} {
		h := map[string]string{}
		for k, v := range good {
			h[k] = v
		}
		h[bad[0]] = bad[1]
		if err := outbox.CheckStamp(h); err == nil {
			t.Errorf("%s %q was taken", bad[0], bad[1])
		}
	}
}

func TestMetricsAreShared(t *testing.T) {
	r := prometheus.NewRegistry()
	for range 2 {
		if _, err := outbox.NewMetrics(r); err != nil {
			t.Error(err)
		}
	}
}

func TestRelayConfigIsChecked(t *testing.T) {
	for _, c := range []outbox.RelayConfig{{}, {DB: &sql.DB{}, Broker: broker.NewMemoryBroker()}, {DB: &sql.DB{}, Broker: broker.NewMemoryBroker(), Owner: "me", Keep: -1}} {
		if _, err := outbox.NewRelay(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
