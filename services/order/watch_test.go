package order_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/host"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/order"
)

// TestWatch follows an order from where the watcher was, is told of what happens, and ends when the module stops.
func TestWatch(t *testing.T) {
	moved := make(chan error, 1)
	t.Cleanup(func() { // after the host has stopped
		select {
		case err := <-moved:
			mustFail(t, err, codes.Unavailable, order.ReasonWatchMoved)
		case <-time.After(time.Minute):
			t.Error("the watch goes on without its module")
		}
	})
	r := start(t, host.Config{DataDir: t.TempDir()})
	o, err := r.orders.CreateOrder(t.Context(), purchase(uuid.NewString()))
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.orders.ListOrderEvents(t.Context(), &orderv1.ListOrderEventsRequest{OrderId: o.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []int64{0, 2} {
		w := r.watch(t, o.GetId(), from)
		for _, want := range all.GetEvents()[from:] {
			if got := recv(t, w); got.GetEventId() != want.GetSequence() || got.GetEvent().GetTo() != want.GetTo() || got.GetEvent().GetReason() != want.GetReason() {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	last := int64(len(all.GetEvents()))
	w := r.watch(t, o.GetId(), last)
	if _, err := r.orders.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: o.GetId()}); err != nil {
		t.Fatal(err)
	}
	for next := last + 1; ; next++ {
		got := recv(t, w)
		if got.GetEventId() != next {
			t.Fatalf("event %d, want %d", got.GetEventId(), next)
		}
		if got.GetEvent().GetTo() == orderv1.OrderState_ORDER_STATE_CANCELLED {
			break
		}
	}
	_, err = r.watch(t, uuid.NewString(), 0).Recv()
	mustFail(t, err, codes.NotFound, order.ReasonOrderNotFound)
	go func() {
		for {
			if _, err := w.Recv(); err != nil {
				moved <- err
				return
			}
		}
	}()
}

func (r *running) watch(t *testing.T, id string, after int64) orderv1.Order_WatchOrderService {
	t.Helper()
	w, err := r.orders.WatchOrder(context.Background(), &orderv1.WatchOrderRequest{OrderId: id, LastEventId: after})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func recv(t *testing.T, w orderv1.Order_WatchOrderService) *orderv1.WatchOrderResponse {
	t.Helper()
	m, err := w.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m
}
