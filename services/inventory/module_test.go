package inventory_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory"
)

func TestMain(m *testing.M) {
	// Each run of a law is thirty calls on a real database. It may be asked for more: -rapid.checks=1000.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// warehouse is the module, run by a host and called as others call it, and the events that it published.
type warehouse struct {
	inventoryv1.InventoryService
	broker  broker.Broker
	mu      sync.Mutex
	now     time.Duration // how far its clock is ahead
	changed []*inventoryv1.StockChanged
	expired []string
}

// waitFor waits until something is so; events come a little after what they tell of.
func (w *warehouse) waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s didn't come", what)
		}
	}
}

func (w *warehouse) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.now)
}

// later moves the clock.
func (w *warehouse) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now += d
}

func (w *warehouse) events() []*inventoryv1.StockChanged {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changed)
}

// each runs fn on every database.
func each(t *testing.T, fn func(t *testing.T, w *warehouse)) {
	t.Helper()
	eachURL(t, func(t *testing.T, url string) { fn(t, open(t, url)) })
}

func eachURL(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	t.Parallel() // most of the time is PostgreSQL's, which makes a database for each
	t.Run("sqlite", func(t *testing.T) { fn(t, "") })
	t.Run("postgres", func(t *testing.T) { fn(t, datatest.PostgresURL(t, "inventory")) })
}

// open starts the module on a broker in memory.
func open(t *testing.T, url string) *warehouse {
	t.Helper()
	b := broker.NewMemoryBroker()
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	w := &warehouse{broker: b}
	changed, err1 := events.Subscribe(b, "test", func(_ context.Context, m *inventoryv1.StockChanged) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changed = append(w.changed, m)
		return nil
	})
	expired, err2 := events.Subscribe(b, "test", func(_ context.Context, m *inventoryv1.ReservationExpired) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.expired = append(w.expired, m.GetReservationId())
		return nil
	})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(changed.Unsubscribe(), expired.Unsubscribe(), b.Disconnect()); err != nil {
			t.Error(err)
		}
	})
	w.InventoryService = serve(t, host.Config{DataURL: url, Broker: b, Now: w.clock})
	return w
}

// serve runs the module in a host until the test ends.
func serve(t *testing.T, c host.Config) inventoryv1.InventoryService {
	t.Helper()
	c.Modules, c.Registry = []host.Module{inventory.Module()}, registry.NewMemoryRegistry()
	c.DataDir, c.Log, c.DrainWait = t.TempDir(), slog.New(slog.DiscardHandler), time.Millisecond
	c.Watch = rpc.Watched(t)
	h, err := host.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return inventoryv1.NewInventoryService("inventory", patient(t, h.Client()))
}

// patient waits for a machine that is busy with other tests.
func patient(t *testing.T, c client.Client) client.Client {
	t.Helper()
	if err := c.Init(client.RequestTimeout(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *warehouse) set(t *testing.T, sku string, n int64) {
	t.Helper()
	if _, err := w.SetStock(t.Context(), &inventoryv1.SetStockRequest{Sku: sku, OnHand: n}); err != nil {
		t.Fatal(err)
	}
}

// has fails unless so many of a SKU are on hand and reserved.
func (w *warehouse) has(t *testing.T, sku string, onHand, reserved int64) {
	t.Helper()
	s, err := w.GetStock(t.Context(), &inventoryv1.GetStockRequest{Sku: sku})
	if err != nil || s.GetOnHand() != onHand || s.GetReserved() != reserved || s.GetAvailable() != onHand-reserved {
		t.Errorf("%s: %v, %v; want %d on hand and %d reserved", sku, s, err, onHand, reserved)
	}
}

func line(sku string, n int64) *inventoryv1.Line { return &inventoryv1.Line{Sku: sku, Quantity: n} }

func wantErr(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	p := problem.From(err)
	if p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %v %s", err, code, reason)
	}
}

func second[T any](_ T, err error) error { return err }

func TestReserveCommitRelease(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		ctx := t.Context()
		w.set(t, "a", 10)
		w.set(t, "b", 5)
		one, two, three := uuid.NewString(), uuid.NewString(), uuid.NewString()
		reserve := func(id string, lines ...*inventoryv1.Line) (*inventoryv1.Reservation, error) {
			return w.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: id, Lines: lines})
		}
		first, err := reserve(one, line("b", 2), line("a", 3))
		if err != nil || first.GetState() != inventoryv1.ReservationState_RESERVATION_STATE_RESERVED {
			t.Fatalf("%v, %v", first, err)
		}
		w.has(t, "a", 10, 3)
		w.has(t, "b", 5, 2)

		// The same again, in another order, changes nothing; other lines are refused.
		if again, err := reserve(one, line("a", 3), line("b", 2)); err != nil || !proto.Equal(again, first) {
			t.Errorf("again: %v, %v", again, err)
		}
		w.has(t, "a", 10, 3)
		wantErr(t, second(reserve(one, line("a", 4), line("b", 2))), codes.AlreadyExists, inventory.ReasonReservationDiffers)
		wantErr(t, second(reserve(two, line("a", 1), line("a", 1))), codes.InvalidArgument, inventory.ReasonDuplicateSKU)

		// All or nothing.
		wantErr(t, second(reserve(two, line("a", 7), line("b", 4))), codes.FailedPrecondition, inventory.ReasonOutOfStock)
		w.has(t, "a", 10, 3)
		wantErr(t, second(reserve(two, line("a", 1), line("none", 1))), codes.FailedPrecondition, inventory.ReasonOutOfStock)
		w.has(t, "a", 10, 3)
		if _, err := reserve(two, line("a", 7), line("b", 3)); err != nil { // the id is free: nothing was written
			t.Error(err)
		}
		w.has(t, "a", 10, 10)

		for range 2 {
			r, err := w.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: one})
			if err != nil || r.GetState() != inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED {
				t.Errorf("commit: %v, %v", r, err)
			}
			w.has(t, "a", 7, 7)
			w.has(t, "b", 3, 3)
		}
		wantErr(t, second(w.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: one})), codes.FailedPrecondition, inventory.ReasonReservationCommitted)
		for range 2 {
			r, err := w.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: two})
			if err != nil || r.GetState() != inventoryv1.ReservationState_RESERVATION_STATE_RELEASED {
				t.Errorf("release: %v, %v", r, err)
			}
			w.has(t, "a", 7, 0)
			w.has(t, "b", 3, 0)
		}
		wantErr(t, second(w.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: two})), codes.FailedPrecondition, inventory.ReasonReservationReleased)
		wantErr(t, second(w.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: three})), codes.NotFound, inventory.ReasonReservationNotFound)

		// A Release that overtakes its Reserve leaves nothing to promise.
		if _, err := w.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: three}); err != nil {
			t.Error(err)
		}
		wantErr(t, second(reserve(three, line("a", 1))), codes.FailedPrecondition, inventory.ReasonReservationReleased)
		w.has(t, "a", 7, 0)
	})
}

func TestCounting(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		ctx := t.Context()
		wantErr(t, second(w.GetStock(ctx, &inventoryv1.GetStockRequest{Sku: "a"})), codes.NotFound, inventory.ReasonStockNotFound)
		wantErr(t, second(w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: 1})), codes.NotFound, inventory.ReasonStockNotFound)
		w.set(t, "a", 4)
		w.set(t, "a", 4)
		w.set(t, "a", 5) // told after what was told of it before
		w.waitFor(t, "the last event", func() bool { e := w.events(); return len(e) > 0 && e[len(e)-1].GetStock().GetOnHand() == 5 })
		if e := w.events(); len(e) != 2 || e[0].GetStock().GetOnHand() != 4 || e[0].GetEventId() == "" {
			t.Errorf("a count that changed nothing was told: %v", e)
		}
		if _, err := w.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: uuid.NewString(), Lines: []*inventoryv1.Line{line("a", 4)}}); err != nil {
			t.Fatal(err)
		}
		wantErr(t, second(w.SetStock(ctx, &inventoryv1.SetStockRequest{Sku: "a", OnHand: 3})), codes.FailedPrecondition, inventory.ReasonBelowReserved)
		wantErr(t, second(w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: -2})), codes.FailedPrecondition, inventory.ReasonBelowReserved)
		wantErr(t, second(w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: 1_000_000_000})), codes.FailedPrecondition, inventory.ReasonTooMany)

		id := uuid.NewString()
		for range 3 { // sent again it is made once
			s, err := w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: 7, RequestId: id})
			if err != nil || s.GetOnHand() != 12 || s.GetReserved() != 4 {
				t.Errorf("adjust: %v, %v", s, err)
			}
		}
		wantErr(t, second(w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: 8, RequestId: id})), codes.AlreadyExists, inventory.ReasonAdjustmentDiffers)
		w.has(t, "a", 12, 4)

		rsp, err := w.BatchSetStock(ctx, &inventoryv1.BatchSetStockRequest{Stock: []*inventoryv1.SetStockRequest{
			{Sku: "a", OnHand: 12}, {Sku: "a", OnHand: 3}, {Sku: "b", OnHand: 1}, {Sku: "c", OnHand: -1}, {Sku: "", OnHand: 1}, {Sku: "d", OnHand: 2},
		}})
		if err != nil || rsp.GetChanged() != 2 || rsp.GetUnchanged() != 1 || len(rsp.GetFailures()) != 3 {
			t.Fatalf("batch: %v, %v", rsp, err)
		}
		for i, f := range rsp.GetFailures() {
			if f.GetIndex() != []int32{1, 3, 4}[i] || f.GetReason() == "" {
				t.Errorf("failure %v", f)
			}
		}
	})
}

func TestPagesAreComplete(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		var all []string
		for i := range 17 {
			sku := fmt.Sprintf("sku-%02d-ß世", i)
			all = append(all, sku)
			w.set(t, sku, 1)
		}
		for _, size := range []int32{1, 4, 16, 17, 18, 0} {
			var seen []string
			req := &inventoryv1.ListStockRequest{PageSize: size}
			for {
				page, err := w.ListStock(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range page.GetStock() {
					seen = append(seen, s.GetSku())
				}
				if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
					break
				}
			}
			if !slices.Equal(seen, all) {
				t.Errorf("by %d: %v", size, seen)
			}
		}
		wantErr(t, second(w.ListStock(t.Context(), &inventoryv1.ListStockRequest{PageToken: "nope"})), codes.InvalidArgument, inventory.ReasonPageTokenInvalid)
	})
}

func TestBadRequestsAreRefused(t *testing.T) {
	w := open(t, "")
	ctx, id := t.Context(), uuid.NewString()
	reserve := func(id string, lines ...*inventoryv1.Line) error {
		return second(w.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: id, Lines: lines}))
	}
	long := strings.Repeat("x", 256)
	for name, err := range map[string]error{
		"get nothing":       second(w.GetStock(ctx, &inventoryv1.GetStockRequest{})),
		"get long":          second(w.GetStock(ctx, &inventoryv1.GetStockRequest{Sku: long})),
		"set NUL":           second(w.SetStock(ctx, &inventoryv1.SetStockRequest{Sku: "a\x00b", OnHand: 1})),
		"set negative":      second(w.SetStock(ctx, &inventoryv1.SetStockRequest{Sku: "a", OnHand: -1})),
		"set too many":      second(w.SetStock(ctx, &inventoryv1.SetStockRequest{Sku: "a", OnHand: 1_000_000_001})),
		"empty batch":       second(w.BatchSetStock(ctx, &inventoryv1.BatchSetStockRequest{})),
		"long batch":        second(w.BatchSetStock(ctx, &inventoryv1.BatchSetStockRequest{Stock: make([]*inventoryv1.SetStockRequest, 1001)})),
		"adjust too much":   second(w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: -1_000_000_001})),
		"adjust's request":  second(w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: 1, RequestId: "nope"})),
		"reserve no id":     reserve("", line("a", 1)),
		"reserve bad id":    reserve("nope", line("a", 1)),
		"reserve nothing":   reserve(id),
		"reserve none":      reserve(id, line("a", 0)),
		"reserve negative":  reserve(id, line("a", -1)),
		"reserve too much":  reserve(id, line("a", 1_000_001)),
		"reserve 201 lines": reserve(id, slices.Repeat([]*inventoryv1.Line{line("a", 1)}, 201)...),
		"commit":            second(w.Commit(ctx, &inventoryv1.CommitRequest{})),
		"release":           second(w.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: "nope"})),
	} {
		if p := problem.From(err); p == nil || p.Code != codes.InvalidArgument {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if page, err := w.ListStock(ctx, &inventoryv1.ListStockRequest{}); err != nil || len(page.GetStock()) != 0 || len(w.events()) != 0 {
		t.Errorf("a refused request left %v, %v, %v", page, err, w.events())
	}
}
