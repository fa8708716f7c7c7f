package inventory_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/host"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory"
)

// stream starts a NATS server and returns a broker on it, and what is published there.
func stream(t *testing.T) (*events.JetStream, <-chan *inventoryv1.StockChanged) {
	t.Helper()
	nats, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Shutdown)
	b, err := events.NewJetStream(events.JetStreamConfig{URL: nats.URL(), Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Disconnect(); err != nil {
			t.Error(err)
		}
	})
	heard := make(chan *inventoryv1.StockChanged, 2000)
	sub, err := events.Subscribe(b, "test", func(_ context.Context, m *inventoryv1.StockChanged) error { heard <- m; return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sub.Unsubscribe(); err != nil {
			t.Error(err)
		}
	})
	return b, heard
}

// next waits for n events and returns them as "sku on_hand/reserved", sorted: those of one call come in any order.
func next(t *testing.T, heard <-chan *inventoryv1.StockChanged, n int) []string {
	t.Helper()
	var got []string
	late := time.After(time.Minute)
	for range n {
		select {
		case e := <-heard:
			s := e.GetStock()
			if uuid.Validate(e.GetEventId()) != nil || !e.GetOccurredAt().AsTime().Equal(s.GetUpdateTime().AsTime()) || s.GetAvailable() != s.GetOnHand()-s.GetReserved() {
				t.Errorf("event %v", e)
			}
			got = append(got, fmt.Sprintf("%s %d/%d", s.GetSku(), s.GetOnHand(), s.GetReserved()))
		case <-late:
			t.Fatalf("of %d events only %v came", n, got)
		}
	}
	slices.Sort(got)
	return got
}

// Each change is told, once, on a real JetStream; what changes nothing is not.
func TestEveryChangeIsTold(t *testing.T) {
	b, heard := stream(t)
	inv := serve(t, host.Config{Broker: b})
	ctx := t.Context()
	tells := func(what string, want ...string) {
		t.Helper()
		if got := next(t, heard, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s was told as %v, want %v", what, got, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	set := &inventoryv1.BatchSetStockRequest{Stock: []*inventoryv1.SetStockRequest{{Sku: "b", OnHand: 5}, {Sku: "a", OnHand: 9}, {Sku: "c", OnHand: -1}}}
	one, two := uuid.NewString(), uuid.NewString()
	reserve := &inventoryv1.ReserveRequest{ReservationId: one, Lines: []*inventoryv1.Line{line("b", 2), line("a", 3)}}
	adjust := &inventoryv1.AdjustStockRequest{Sku: "a", Delta: -4, RequestId: uuid.NewString()}

	must(second(inv.BatchSetStock(ctx, set)))
	must(second(inv.BatchSetStock(ctx, set)))
	tells("a batch", "a 9/0", "b 5/0")
	must(second(inv.Reserve(ctx, reserve)))
	must(second(inv.Reserve(ctx, reserve)))
	reserve.ReservationId = two
	wantErr(t, second(inv.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: two, Lines: []*inventoryv1.Line{line("a", 1), line("b", 9)}})),
		codes.FailedPrecondition, inventory.ReasonOutOfStock)
	tells("a reservation", "a 9/3", "b 5/2")
	must(second(inv.Reserve(ctx, reserve)))
	tells("a second one", "a 9/6", "b 5/4")
	for range 2 {
		must(second(inv.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: one})))
	}
	tells("a commit", "a 6/3", "b 3/2")
	for range 2 {
		must(second(inv.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: two})))
	}
	must(second(inv.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: uuid.NewString()})))
	tells("a release", "a 6/0", "b 3/0")
	for range 2 {
		must(second(inv.AdjustStock(ctx, adjust)))
	}
	tells("an adjustment", "a 2/0")
	must(second(inv.SetStock(ctx, &inventoryv1.SetStockRequest{Sku: "z", OnHand: 1}))) // nothing was told before it that was not asked for
	tells("a count", "z 1/0")
}

// A large batch is told in full: an event for each SKU, in the transaction of the batch.
func TestALargeBatchIsTold(t *testing.T) {
	b, heard := stream(t)
	inv := serve(t, host.Config{Broker: b})
	const many = 200
	in := &inventoryv1.BatchSetStockRequest{}
	var want []string
	for i := range many {
		in.Stock = append(in.Stock, &inventoryv1.SetStockRequest{Sku: fmt.Sprintf("sku-%04d", i), OnHand: int64(i)})
		want = append(want, fmt.Sprintf("sku-%04d %d/0", i, i))
	}
	began := time.Now()
	if rsp, err := inv.BatchSetStock(t.Context(), in); err != nil || rsp.GetChanged() != many {
		t.Fatalf("%v, %v", rsp, err)
	}
	t.Logf("%d counts and their events took %v", many, time.Since(began))
	if got := next(t, heard, len(want)); !slices.Equal(got, want) {
		t.Errorf("told were %d events, others than the %d that were set", len(got), len(want))
	}
}

// A broker that is down turns no change into a failure, and the event comes when it is up again.
func TestABrokerThatIsDown(t *testing.T) {
	w := open(t, "")
	if err := w.broker.Disconnect(); err != nil {
		t.Fatal(err)
	}
	w.set(t, "a", 3)
	w.has(t, "a", 3, 0)
	if len(w.events()) != 0 {
		t.Errorf("a broker that is down has told %v", w.events())
	}
	if err := w.broker.Connect(); err != nil {
		t.Fatal(err)
	}
	w.waitFor(t, "the event", func() bool { return len(w.events()) == 1 && w.events()[0].GetStock().GetOnHand() == 3 })
}

// clock is one that goes back a second each time it is read.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(-time.Second)
	return c.now
}

// The update time of a SKU grows with every change, whatever the clock says: it tells a newer event from an older.
func TestUpdateTimesGrow(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		c := &clock{now: time.Now()}
		b := broker.NewMemoryBroker()
		if err := b.Connect(); err != nil {
			t.Fatal(err)
		}
		inv := serve(t, host.Config{DataURL: url, Broker: b, Now: c.read})
		ctx, one, two := t.Context(), uuid.NewString(), uuid.NewString()
		reserve := func(id string) error {
			return second(inv.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: id, Lines: []*inventoryv1.Line{line("a", 1)}}))
		}
		var last time.Time
		for what, call := range []func() error{
			func() error { return second(inv.SetStock(ctx, &inventoryv1.SetStockRequest{Sku: "a", OnHand: 9})) },
			func() error { return second(inv.SetStock(ctx, &inventoryv1.SetStockRequest{Sku: "a", OnHand: 8})) },
			func() error { return reserve(one) },
			func() error { return reserve(two) },
			func() error { return second(inv.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: one})) },
			func() error { return second(inv.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: two})) },
			func() error {
				return second(inv.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: 1}))
			},
		} {
			if err := call(); err != nil {
				t.Fatal(err)
			}
			s, err := inv.GetStock(ctx, &inventoryv1.GetStockRequest{Sku: "a"})
			if err != nil {
				t.Fatal(err)
			}
			if at := s.GetUpdateTime().AsTime(); !at.After(last) {
				t.Errorf("change %d is of %v, the one before it of %v", what, at, last)
			} else {
				last = at
			}
		}
	})
}
