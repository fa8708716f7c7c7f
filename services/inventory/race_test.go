package inventory_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory"
)

func TestTheLastPiecesAreSoldOnce(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		const pieces, buyers = 10, 64
		w.set(t, "a", pieces)
		w.set(t, "b", buyers)
		var mu sync.Mutex
		var won []string
		var wg sync.WaitGroup
		for i := range buyers {
			wg.Go(func() {
				id := uuid.NewString()
				lines := []*inventoryv1.Line{line("a", 1), line("b", 1)}
				if i%2 == 0 { // in the other order, as a deadlock would have it
					slices.Reverse(lines)
				}
				_, err := w.Reserve(context.Background(), &inventoryv1.ReserveRequest{ReservationId: id, Lines: lines})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, id)
				} else if problem.From(err).Reason != inventory.ReasonOutOfStock {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != pieces {
			t.Errorf("%d of %d pieces were promised", len(won), pieces)
		}
		w.has(t, "a", pieces, int64(len(won)))
		w.has(t, "b", buyers, int64(len(won)))
		for i, id := range won {
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = w.Commit(context.Background(), &inventoryv1.CommitRequest{ReservationId: id})
				} else {
					_, err = w.Release(context.Background(), &inventoryv1.ReleaseRequest{ReservationId: id})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		w.has(t, "a", pieces/2, 0)
		w.has(t, "b", buyers-pieces/2, 0)
	})
}

func TestTheSameCallAtTheSameTimeCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		const callers = 32
		w.set(t, "a", 100)
		reservation, adjustment := uuid.NewString(), uuid.NewString()
		reservations, adjusted := make([]*inventoryv1.Reservation, callers), make([]*inventoryv1.Stock, callers)
		ctx := context.Background()
		atOnce := func(call func(i int) error) {
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					if err := call(i); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		atOnce(func(i int) (err error) {
			adjusted[i], err = w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: 7, RequestId: adjustment})
			return err
		})
		w.has(t, "a", 107, 0)
		atOnce(func(i int) (err error) {
			reservations[i], err = w.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: reservation, Lines: []*inventoryv1.Line{line("a", 5)}})
			return err
		})
		w.has(t, "a", 107, 5)
		for i := range callers {
			if !proto.Equal(adjusted[i], adjusted[0]) || !proto.Equal(reservations[i], reservations[0]) {
				t.Errorf("caller %d was told %v and %v, the first %v and %v", i, adjusted[i], reservations[i], adjusted[0], reservations[0])
			}
		}
		atOnce(func(int) error { return second(w.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: reservation})) })
		w.has(t, "a", 102, 0)
		w.set(t, "a", 1)
		w.waitFor(t, "the last event", func() bool { e := w.events(); return len(e) > 0 && e[len(e)-1].GetStock().GetOnHand() == 1 })
		if got := len(w.events()); got != 5 { // set, adjust, reserve, commit, set
			t.Errorf("%d events", got)
		}
	})
}

// Many hands do everything at once, on the same few SKUs, and in the end the pieces add up: nothing came from nowhere, nothing was sold
// twice, nobody met a deadlock, and the law held whenever someone looked.
func TestThePiecesAddUp(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		const hands, orders, start = 8, 8, 40
		skus := []string{"a", "b", "c"}
		sold, added := map[string]*atomic.Int64{}, map[string]*atomic.Int64{}
		for _, sku := range skus {
			w.set(t, sku, start)
			sold[sku], added[sku] = &atomic.Int64{}, &atomic.Int64{}
		}
		ctx := context.Background()
		calm := func(what string, err error) bool {
			if err == nil {
				return true
			}
			if r := problem.From(err).Reason; r != inventory.ReasonOutOfStock && r != inventory.ReasonBelowReserved {
				t.Errorf("%s: %v", what, err)
			}
			return false
		}
		order := func(rnd *rand.Rand) {
			var lines []*inventoryv1.Line
			for _, i := range rnd.Perm(len(skus))[:1+rnd.IntN(len(skus))] {
				lines = append(lines, line(skus[i], 1+rnd.Int64N(3)))
			}
			id := uuid.NewString()
			if !calm("reserve", second(w.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: id, Lines: lines}))) {
				return
			}
			if rnd.IntN(2) == 0 {
				calm("release", second(w.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: id})))
				return
			}
			if calm("commit", second(w.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: id}))) {
				for _, l := range lines {
					sold[l.GetSku()].Add(l.GetQuantity())
				}
			}
		}
		var wg sync.WaitGroup
		for hand := range hands {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(1, uint64(hand)))
				for range orders {
					order(rnd)
					sku, delta := skus[rnd.IntN(len(skus))], rnd.Int64N(5)-2
					if calm("adjust", second(w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: sku, Delta: delta, RequestId: uuid.NewString()}))) {
						added[sku].Add(delta)
					}
					list, err := w.ListStock(ctx, &inventoryv1.ListStockRequest{})
					if err != nil {
						t.Error(err)
					}
					for _, s := range list.GetStock() {
						if s.GetReserved() < 0 || s.GetReserved() > s.GetOnHand() {
							t.Errorf("the law is broken: %v", s)
						}
					}
				}
			})
		}
		wg.Wait()
		for _, sku := range skus {
			w.has(t, sku, start+added[sku].Load()-sold[sku].Load(), 0)
		}
		w.newestIsRight(t, skus...)
	})
}

// newestIsRight fails unless the events of each SKU come in the order in which they occurred, and the last one says what is there.
func (w *warehouse) newestIsRight(t *testing.T, skus ...string) {
	t.Helper()
	for _, sku := range skus {
		want, err := w.GetStock(t.Context(), &inventoryv1.GetStockRequest{Sku: sku})
		if err != nil {
			t.Fatal(err)
		}
		w.waitFor(t, "the newest event of "+sku, func() bool {
			var last *inventoryv1.Stock
			for _, e := range w.events() {
				if e.GetStock().GetSku() != sku {
					continue
				}
				if at := e.GetOccurredAt().AsTime(); !at.After(last.GetUpdateTime().AsTime()) && last != nil {
					t.Fatalf("%v came after %v", e, last)
				}
				last = e.GetStock()
			}
			return proto.Equal(last, want)
		})
	}
}
