package fulfilment_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"go-micro.dev/v4/metadata"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/fulfilment"
)

// Twenty people pack the last five pieces.
func testTheLastPiecesArePackedOnce(t *testing.T, w *warehouse) {
	order := w.paid(t, line("MUG", 5))
	var mu sync.Mutex
	var wg sync.WaitGroup
	packed := 0
	for range 20 {
		wg.Go(func() {
			_, err := w.CreateShipment(context.Background(), &fulfilmentv1.CreateShipmentRequest{OrderId: order, Lines: []*fulfilmentv1.Line{line("MUG", 1)}})
			if err != nil {
				wantErr(t, err, codes.FailedPrecondition, fulfilment.ReasonNothingToShip)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			packed++
		})
	}
	wg.Wait()
	f := w.until(t, order, func(*fulfilmentv1.FulfilmentOrder) bool { return true })
	if packed != 5 || len(f.GetShipments()) != 5 || counts(f, "MUG") != [6]int64{5, 5} {
		t.Errorf("%d were told that it is packed; %v", packed, f)
	}
}

// One request that is sent from eight sides at once is one shipment.
func testARequestFromManySides(t *testing.T, w *warehouse) {
	order, request := w.paid(t, line("MUG", 5)), uuid.NewString()
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			s, err := w.CreateShipment(context.Background(), &fulfilmentv1.CreateShipmentRequest{
				OrderId: order, RequestId: request, Lines: []*fulfilmentv1.Line{line("MUG", 1)},
			})
			if err != nil {
				t.Error(err)
			}
			ids[i] = s.GetId()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("one request made %v", ids)
		}
	}
}

// The carrier comes while the order is cancelled: the parcel stays and nothing is reported, or it leaves and that is reported.
func testShipAndCancelAtOnce(t *testing.T, w *warehouse) {
	for range 10 {
		order := w.paid(t, line("MUG", 1))
		s := w.pack(t, order)
		w.publish(t, &orderv1.OrderCancelled{EventId: uuid.NewString(), Order: &orderv1.PlacedOrder{Id: order}})
		_, err := w.ship(t.Context(), s.GetId())
		f := w.until(t, order, func(f *fulfilmentv1.FulfilmentOrder) bool {
			return f.GetState() == fulfilmentv1.FulfilmentState_FULFILMENT_STATE_CANCELLED
		})
		want := [6]int64{1, 1, 1}
		if err != nil {
			want = [6]int64{1}
			if p := problem.From(err); p.Reason != fulfilment.ReasonCancelled {
				t.Errorf("the carrier was told %v", err)
			}
		}
		if f.GetLeftBeforeCancel() != (err == nil) || counts(f, "MUG") != want {
			t.Errorf("the carrier was told %v, and the fulfilment is %v", err, f)
		}
	}
}

// A command under a key is done once, and answers as the first time; another one under the key is refused.
func testAKey(t *testing.T, w *warehouse) {
	order := w.paid(t, line("MUG", 3))
	ctx := metadata.Set(t.Context(), idempotency.Header, uuid.NewString())
	pack := func(n int64) (*fulfilmentv1.Shipment, error) {
		return w.CreateShipment(ctx, &fulfilmentv1.CreateShipmentRequest{OrderId: order, Lines: []*fulfilmentv1.Line{line("MUG", n)}})
	}
	first, err := pack(1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := pack(1); err != nil || again.GetId() != first.GetId() {
		t.Errorf("%v, %v", again, err)
	}
	wantErr(t, second(pack(2)), codes.FailedPrecondition, idempotency.ReasonReused)

	// The event commits with the key: one, however often it is sent.
	ctx = metadata.Set(t.Context(), idempotency.Header, uuid.NewString())
	for range 2 {
		if _, err := w.ship(ctx, first.GetId()); err != nil {
			t.Fatal(err)
		}
	}
	w.next(t, order)
	f := w.until(t, order, func(*fulfilmentv1.FulfilmentOrder) bool { return true })
	if counts(f, "MUG") != [6]int64{3, 1, 1} || len(f.GetShipments()) != 1 {
		t.Errorf("%v", f)
	}
	w.quiet(t, order)
}
