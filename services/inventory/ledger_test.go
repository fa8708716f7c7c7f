package inventory_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cleavehq/cleave/chassis/events"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory"
)

// entries returns a SKU's ledger, the oldest first, as "kind delta on_hand".
func (w *warehouse) entries(t *testing.T, sku string, size int32) (out []string) {
	t.Helper()
	in := &inventoryv1.ListStockLedgerRequest{Sku: sku, PageSize: size}
	for {
		page, err := w.ListStockLedger(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetEntries() {
			if e.GetSku() != sku || e.GetReferenceId() == "" || e.GetAt().AsTime().IsZero() {
				t.Errorf("entry %v", e)
			}
			out = append(out, fmt.Sprint(e.GetKind(), " ", e.GetDelta(), " ", e.GetOnHand()))
		}
		if in.PageToken = page.GetNextPageToken(); in.PageToken == "" {
			slices.Reverse(out)
			return out
		}
	}
}

func TestTheLedger(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		ctx, id := t.Context(), uuid.NewString()
		w.set(t, "a", 10)
		w.set(t, "b", 0)
		for range 2 {
			if _, err := w.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "a", Delta: -3, RequestId: id}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: id, Lines: []*inventoryv1.Line{line("a", 2)}}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := w.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: id}); err != nil {
				t.Fatal(err)
			}
		}
		restock := func(sku, ref string, n int64, why inventoryv1.RestockReason) (*inventoryv1.Stock, error) {
			return w.Restock(ctx, &inventoryv1.RestockRequest{Sku: sku, ReferenceId: ref, Quantity: n, Reason: why})
		}
		const back, truck = inventoryv1.RestockReason_RESTOCK_REASON_RETURN, inventoryv1.RestockReason_RESTOCK_REASON_SUPPLY
		for range 2 { // sent again it is made once
			for why, want := range map[inventoryv1.RestockReason]int64{back: 1, truck: 20} {
				if _, err := restock("a", "note 1", want, why); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.has(t, "a", 26, 0)
		mustBe := func(err error, code codes.Code, reason string) { t.Helper(); wantErr(t, err, code, reason) }
		mustBe(second(restock("a", "note 1", 2, back)), codes.AlreadyExists, inventory.ReasonRestockDiffers)
		mustBe(second(restock("none", "note 1", 2, back)), codes.NotFound, inventory.ReasonStockNotFound)
		mustBe(second(restock("a", "note\x00", 2, back)), codes.InvalidArgument, inventory.ReasonReferenceInvalid)
		for _, bad := range []*inventoryv1.RestockRequest{
			{Sku: "a", ReferenceId: "r", Quantity: 1}, {Sku: "a", Quantity: 1, Reason: back}, {Sku: "a", ReferenceId: "r", Reason: back},
		} {
			mustBe(second(w.Restock(ctx, bad)), codes.InvalidArgument, "INVALID_FIELDS")
		}
		w.set(t, "full", 999_999_999)
		mustBe(second(restock("full", "r", 2, truck)), codes.FailedPrecondition, inventory.ReasonTooMany)

		want := []string{"LEDGER_KIND_COUNT 10 10", "LEDGER_KIND_ADJUST -3 7", "LEDGER_KIND_SALE -2 5"}
		for _, size := range []int32{1, 2, 0} {
			got := w.entries(t, "a", size)
			if len(got) != 5 || !slices.Equal(got[:3], want) {
				t.Errorf("by %d: %v", size, got)
			}
		}
		if got := w.entries(t, "b", 0); len(got) != 0 {
			t.Errorf("nothing was counted, and the ledger has %v", got)
		}
		mustBe(second(w.ListStockLedger(ctx, &inventoryv1.ListStockLedgerRequest{Sku: "a", PageToken: "nope"})),
			codes.InvalidArgument, inventory.ReasonPageTokenInvalid)
	})
}

// What a customer sent back is in the stock again, once for each return, and all of it or nothing.
func TestReturnsAreRestocked(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		w.set(t, "a", 1)
		w.set(t, "b", 1)
		send := func(restock, refused bool, id string, lines ...*fulfilmentv1.Line) {
			t.Helper()
			m := &fulfilmentv1.ReturnReceived{
				EventId: uuid.NewString(), OrderId: uuid.NewString(),
				GoodsReturn: &fulfilmentv1.GoodsReturn{Id: id, Lines: lines, Restock: restock},
			}
			for range 2 { // the broker may deliver it twice
				// The broker in memory waits for its consumers, and says what they think of it.
				if err := events.Publish(t.Context(), w.broker, m); refused != (err != nil) {
					t.Fatal(err)
				}
			}
		}
		piece := func(sku string, n int64) *fulfilmentv1.Line { return &fulfilmentv1.Line{Sku: sku, Quantity: n} }
		id := uuid.NewString()
		send(false, false, uuid.NewString(), piece("a", 1))
		send(true, false, id, piece("b", 2), piece("a", 1), piece("b", 1))
		send(true, false, id, piece("b", 3), piece("a", 1)) // another event of the same return
		send(true, true, uuid.NewString(), piece("a", 5), piece("never counted", 1))
		last := uuid.NewString()
		send(true, false, last, piece("a", 1))
		w.waitFor(t, "the last return", func() bool {
			s, err := w.GetStock(t.Context(), &inventoryv1.GetStockRequest{Sku: "a"})
			return err == nil && s.GetOnHand() == 3
		})
		w.has(t, "b", 4, 0)
		if got := w.entries(t, "a", 0); !slices.Equal(got, []string{"LEDGER_KIND_COUNT 1 1", "LEDGER_KIND_RETURN 1 2", "LEDGER_KIND_RETURN 1 3"}) {
			t.Errorf("the ledger of a has %v", got)
		}
		// The same return, by hand, is no other.
		s, err := w.Restock(t.Context(), &inventoryv1.RestockRequest{
			Sku: "a", Quantity: 1, ReferenceId: last, Reason: inventoryv1.RestockReason_RESTOCK_REASON_RETURN,
		})
		if err != nil || s.GetOnHand() != 3 {
			t.Errorf("%v, %v", s, err)
		}
	})
}

// A promise that nobody keeps in time is taken back, by the worker.
func TestReservationsExpire(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		ctx := t.Context()
		w.set(t, "a", 10)
		one, two, kept := uuid.NewString(), uuid.NewString(), uuid.NewString()
		reserve := func(id string, ttl time.Duration) *inventoryv1.Reservation {
			t.Helper()
			in := &inventoryv1.ReserveRequest{ReservationId: id, Lines: []*inventoryv1.Line{line("a", 3)}}
			lasts := 15 * time.Minute
			if ttl > 0 {
				in.Ttl, lasts = durationpb.New(ttl), ttl
			}
			began := w.clock().Truncate(time.Microsecond)
			r, err := w.Reserve(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			if at := r.GetExpireTime().AsTime(); at.Before(began.Add(lasts)) || at.After(w.clock().Add(lasts)) {
				t.Errorf("reserved at %v for %v: %v", began, lasts, at)
			}
			return r
		}
		first := reserve(one, 0)
		reserve(two, time.Hour)
		reserve(kept, 0)
		if _, err := w.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: kept}); err != nil {
			t.Fatal(err)
		}
		w.later(16 * time.Minute)
		w.waitFor(t, "the end of the first reservation", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Equal(w.expired, []string{one})
		})
		w.has(t, "a", 7, 3)
		wantErr(t, second(w.Commit(ctx, &inventoryv1.CommitRequest{ReservationId: one})), codes.FailedPrecondition, inventory.ReasonReservationExpired)
		wantErr(t, second(w.Reserve(ctx, &inventoryv1.ReserveRequest{ReservationId: one, Lines: []*inventoryv1.Line{line("a", 3)}})),
			codes.FailedPrecondition, inventory.ReasonReservationExpired)
		first.State = inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED
		if r, err := w.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: one}); err != nil || !proto.Equal(r, first) {
			t.Errorf("release of an expired one: %v, %v", r, err)
		}
		w.has(t, "a", 7, 3)
		for _, ttl := range []time.Duration{time.Millisecond, 8 * 24 * time.Hour, -time.Hour} {
			in := &inventoryv1.ReserveRequest{ReservationId: uuid.NewString(), Lines: []*inventoryv1.Line{line("a", 1)}, Ttl: durationpb.New(ttl)}
			wantErr(t, second(w.Reserve(ctx, in)), codes.InvalidArgument, "INVALID_FIELDS")
		}
	})
}

// The last pieces are promised to one who lets his time go by. Of many who want them then, so many get them, though nobody waits for the worker.
func TestExpiredStockIsHadAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		const pieces, buyers = 5, 20
		w.set(t, "a", pieces)
		late := &inventoryv1.ReserveRequest{ReservationId: uuid.NewString(), Lines: []*inventoryv1.Line{line("a", pieces)}}
		if _, err := w.Reserve(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		wantErr(t, second(w.Reserve(t.Context(), &inventoryv1.ReserveRequest{ReservationId: uuid.NewString(), Lines: []*inventoryv1.Line{line("a", 1)}})),
			codes.FailedPrecondition, inventory.ReasonOutOfStock)
		w.later(15 * time.Minute)
		var mu sync.Mutex
		won := 0
		var wg sync.WaitGroup
		for range buyers {
			wg.Go(func() {
				_, err := w.Reserve(context.Background(), &inventoryv1.ReserveRequest{
					ReservationId: uuid.NewString(), Lines: []*inventoryv1.Line{line("a", 1)},
				})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				}
			})
		}
		wg.Wait()
		if won != pieces {
			t.Errorf("%d of %d pieces were promised", won, pieces)
		}
		w.has(t, "a", pieces, pieces)
	})
}
