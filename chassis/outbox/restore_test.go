package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// A server that is restored from a backup has forgotten what it acknowledged since, and gives the places to others.
func TestAServerComesBackWithOlderData(t *testing.T) {
	t.Parallel()
	db := datatest.SQLite(t, "shop", nil, outbox.Schema())
	dir, port := t.TempDir(), freePort(t)
	store, backup := filepath.Join(dir, "nats"), filepath.Join(dir, "backup")
	start := func() *events.Embedded {
		s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: store, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	defer func() { s.Shutdown() }()
	b, err := events.NewJetStream(events.JetStreamConfig{URL: s.URL(), Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	connected(t, b)
	var mu sync.Mutex
	var got []string
	subscribe := func() broker.Subscriber {
		sub, err := outbox.Subscribe(b, db, "reader", func(_ context.Context, _ *sql.Tx, m *catalogv1.ProductChanged) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, m.GetEventId())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	if err := subscribe().Unsubscribe(); err != nil { // from now on the group waits
		t.Fatal(err)
	}
	s.Shutdown()
	if err := os.CopyFS(backup, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	s = start()

	r, err := outbox.NewRelay(outbox.RelayConfig{DB: db, Broker: b, Owner: "me", Settle: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = r.Run(ctx) })
	defer func() { stop(); done.Wait() }()
	want := []string{"e1", "e2", "e3"}
	for _, id := range want {
		if err := add(t, db, "k", &catalogv1.ProductChanged{EventId: id}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(where string) (n int) {
		if err := db.QueryRow("SELECT COUNT(*) FROM outbox WHERE " + where).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "the events to be acknowledged", func() bool { return count("published_at > 0 AND place > 0") == 3 })

	s.Shutdown()
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(store, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	s = start()
	for i := range 2 { // others take their places
		m := &broker.Message{Header: map[string]string{events.HeaderEventID: fmt.Sprint("other", i)}, Body: []byte("x")}
		eventually(t, "another to publish", func() bool { return b.Publish("shop.test.v1.Other", m) == nil })
	}
	sub := subscribe()
	defer func() { _ = sub.Unsubscribe() }()
	eventually(t, "every event", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= 3
	})
	eventually(t, "the rows to be deleted", func() bool { return count("1 = 1") == 0 })
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("applied %v, want %v", got, want)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long for %s", what)
		}
	}
}
