package order_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/idempotency"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/order"
)

func (r *running) bought(t *testing.T) *orderv1.PlacedOrder {
	t.Helper()
	o, err := r.orders.CreateOrder(t.Context(), purchase(uuid.NewString()))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// becomes waits until an order is as it should be.
func (r *running) becomes(t *testing.T, id string, ok func(*orderv1.PlacedOrder) bool) *orderv1.PlacedOrder {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.After(20 * time.Second)
	for {
		o, err := r.orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: id})
		if err != nil {
			t.Fatal(err)
		}
		if ok(o) {
			return o
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("it is still %v", o)
		}
	}
}

// workerFinishes: what a request could not do is done soon after it.
func (r *running) workerFinishes(t *testing.T) {
	r.peers.mu.Lock()
	r.peers.away = 3 // as often as the client tries it within the request
	r.peers.mu.Unlock()
	ctx := idempotency.WithKey(t.Context(), "of-the-edge:"+uuid.NewString())
	in := purchase(uuid.NewString())
	in.RequestId = ""
	o, err := r.orders.CreateOrder(ctx, in)
	if err != nil || o.GetState() != orderv1.OrderState_ORDER_STATE_CONFIRMED || !o.GetUnfinished() {
		t.Fatalf("%v, %v", o, err)
	}
	paid := r.becomes(t, o.GetId(), func(o *orderv1.PlacedOrder) bool { return !o.GetUnfinished() })
	if paid.GetState() != orderv1.OrderState_ORDER_STATE_PAID || paid.GetAttempts() != 0 {
		t.Errorf("%v", paid)
	}
	if again, err := r.orders.CreateOrder(ctx, in); err != nil || again.GetId() != o.GetId() {
		t.Errorf("with the same key: %v, %v", again, err)
	}
	in.Email = "eve@example.com"
	_, err = r.orders.CreateOrder(ctx, in)
	mustFail(t, err, codes.FailedPrecondition, order.ReasonKeyReused)
}

func (r *running) callOff(t *testing.T) {
	o := r.bought(t)
	off, err := r.orders.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: o.GetId()})
	if err != nil || off.GetState() != orderv1.OrderState_ORDER_STATE_CANCELLED || off.GetCancelReason() != order.ReasonCustomerRequest ||
		off.GetRefunded().GetMinor() != 2100 {
		t.Errorf("%v, %v", off, err)
	}
	for {
		if got := within(t, r.cancelled); got.GetOrder().GetId() == o.GetId() {
			break
		}
	}
	trail, err := r.orders.ListOrderEvents(t.Context(), &orderv1.ListOrderEventsRequest{OrderId: o.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, e := range trail.GetEvents() {
		got = append(got, e.GetReason())
		if e.GetSequence() != int64(i+1) || e.GetAt() == nil {
			t.Errorf("%v", e)
		}
	}
	want := []string{
		"PLACED", "STOCK_RESERVED", "MONEY_AUTHORIZED", "CONFIRMED", "MONEY_CAPTURED", "GIVEN_UP:CUSTOMER_REQUEST", "REFUND_ASKED", "REFUND_DONE", "CANCELLED",
	}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got, want)
		}
	}
	_, err = r.orders.ListOrderEvents(t.Context(), &orderv1.ListOrderEventsRequest{OrderId: uuid.NewString()})
	mustFail(t, err, codes.NotFound, order.ReasonOrderNotFound)
}

// thereAndBack hears of parcels, of a return, and that the customer is to be forgotten.
func (r *running) thereAndBack(t *testing.T) {
	o := r.bought(t)
	tell := func(m proto.Message) {
		t.Helper()
		for range 2 { // it may come twice
			if err := events.Publish(t.Context(), r.broker, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	is := func(state orderv1.OrderState) func(*orderv1.PlacedOrder) bool {
		return func(o *orderv1.PlacedOrder) bool { return o.GetState() == state && !o.GetUnfinished() }
	}
	mugs := func(n int64) []*fulfilmentv1.Line { return []*fulfilmentv1.Line{{Sku: "MUG", Quantity: n}} }
	for i, n := range []int64{1, 2} {
		tell(&fulfilmentv1.ShipmentShipped{EventId: uuid.NewString(), OrderId: o.GetId(), Shipment: &fulfilmentv1.Shipment{Lines: mugs(n)}})
		r.becomes(t, o.GetId(), is([]orderv1.OrderState{orderv1.OrderState_ORDER_STATE_PARTIALLY_SHIPPED, orderv1.OrderState_ORDER_STATE_SHIPPED}[i]))
	}
	_, err := r.orders.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: o.GetId()})
	mustFail(t, err, codes.FailedPrecondition, order.ReasonOrderShipped)
	// A parcel that can't be of this order is for a person to look at, and keeps nothing up.
	tell(&fulfilmentv1.ShipmentShipped{EventId: uuid.NewString(), OrderId: o.GetId(), Shipment: &fulfilmentv1.Shipment{Lines: mugs(1)}})
	r.mustHaveDead(t, "has no 1 more of MUG")
	tell(&fulfilmentv1.ShipmentDelivered{EventId: uuid.NewString(), OrderId: o.GetId(), Shipment: &fulfilmentv1.Shipment{Lines: mugs(3)}})
	r.becomes(t, o.GetId(), is(orderv1.OrderState_ORDER_STATE_DELIVERED))
	tell(&fulfilmentv1.ReturnReceived{EventId: uuid.NewString(), OrderId: o.GetId(), GoodsReturn: &fulfilmentv1.GoodsReturn{Id: uuid.NewString(), Lines: mugs(1)}})
	back := r.becomes(t, o.GetId(), is(orderv1.OrderState_ORDER_STATE_PARTIALLY_REFUNDED))
	if back.GetRefunded().GetMinor() != 700 || len(back.GetRefunds()) != 1 || back.GetRefunds()[0].GetState() != orderv1.RefundState_REFUND_STATE_DONE {
		t.Errorf("%v", back)
	}
	part := &orderv1.RefundOrderRequest{OrderId: o.GetId(), Amount: &typev1.Money{Currency: "USD", Minor: 300}, Reason: "a scratch", RequestId: uuid.NewString()}
	for range 2 {
		if back, err = r.orders.RefundOrder(t.Context(), part); err != nil || back.GetRefunded().GetMinor() != 1000 {
			t.Errorf("%v, %v", back, err)
		}
	}
	part.Amount.Minor = 0
	if _, err = r.orders.RefundOrder(t.Context(), part); err == nil {
		t.Error("nothing was refunded, and that is taken for a refund")
	}
	rest, err := r.orders.RefundOrder(t.Context(), &orderv1.RefundOrderRequest{OrderId: o.GetId(), Reason: "the rest"})
	if err != nil || rest.GetState() != orderv1.OrderState_ORDER_STATE_REFUNDED || rest.GetRefunded().GetMinor() != 2100 {
		t.Errorf("%v, %v", rest, err)
	}
	r.peers.mu.Lock()
	paid := proto.CloneOf(r.peers.payments[o.GetPaymentId()])
	r.peers.mu.Unlock()
	if len(paid.GetRefunds()) != 3 || paid.GetState() != paymentv1.PaymentState_PAYMENT_STATE_CAPTURED {
		t.Errorf("%v", paid)
	}
	tell(&customerv1.CustomerErased{EventId: uuid.NewString(), CustomerId: customer})
	gone := r.becomes(t, o.GetId(), func(o *orderv1.PlacedOrder) bool { return o.GetEmail() == "" })
	if a := gone.GetShippingAddress(); a.GetName()+a.GetLine1()+a.GetCity()+a.GetPostalCode() != "" || a.GetCountry() != "GB" {
		t.Errorf("%v", gone)
	}
}

// mustHaveDead waits for a dead letter with a reason.
func (r *running) mustHaveDead(t *testing.T, reason string) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.After(10 * time.Second)
	for {
		letters, err := r.broker.DeadLetters(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range letters {
			if l.Group == order.Name && strings.Contains(l.Reason, reason) && l.Attempts == 1 {
				return
			}
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("no dead letter with %s: %+v", reason, letters)
		}
	}
}

// withoutABroker: an order needs none, and what is to be told is told when there is one again.
func (r *running) withoutABroker(t *testing.T) {
	r.away()
	o := r.bought(t)
	if o.GetState() != orderv1.OrderState_ORDER_STATE_PAID {
		t.Errorf("%v", o)
	}
	r.back()
	for {
		if got := within(t, r.confirmed); got.GetOrder().GetId() == o.GetId() {
			return
		}
	}
}
