package fulfilment_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/idempotency"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/fulfilment"
)

// One host and one broker for all: each test has orders of its own.
func TestModule(t *testing.T) {
	each(t, func(t *testing.T, w *warehouse) {
		for name, test := range map[string]func(*testing.T, *warehouse){
			"an order in two parcels":              testAnOrderInTwoParcels,
			"what comes back":                      testWhatComesBack,
			"a cancelled order stays":              testACancelledOrderStays,
			"a cancellation overtakes the payment": testACancellationOvertakesThePayment,
			"events again":                         testEventsAgain,
			"packing":                              testPacking,
			"a parcel under a key":                 testAParcelUnderAKey,
			"pages":                                testPages,
			"the last pieces are packed once":      testTheLastPiecesArePackedOnce,
			"a request from many sides":            testARequestFromManySides,
			"ship and cancel at once":              testShipAndCancelAtOnce,
			"a key":                                testAKey,
		} {
			t.Run(name, func(t *testing.T) { test(t, w) })
		}
	})
}

// A key makes a parcel be packed once, without a request_id.
func testAParcelUnderAKey(t *testing.T, w *warehouse) {
	ctx := idempotency.WithKey(t.Context(), uuid.NewString())
	order := w.paid(t, line("MUG", 3))
	w.until(t, order, func(f *fulfilmentv1.FulfilmentOrder) bool { return f != nil })
	in := &fulfilmentv1.CreateShipmentRequest{OrderId: order, Lines: []*fulfilmentv1.Line{line("MUG", 1)}}
	first, err := w.CreateShipment(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.CreateShipment(ctx, in); err != nil || again.GetId() != first.GetId() {
		t.Errorf("again it is %v, %v, and it was %v", again, err, first)
	}
	in.Lines[0].Quantity = 2
	wantErr(t, second(w.CreateShipment(ctx, in)), codes.FailedPrecondition, idempotency.ReasonReused)
}

// An order leaves in two parcels, arrives, and half of it comes back.
func testAnOrderInTwoParcels(t *testing.T, w *warehouse) {
	ctx := t.Context()
	order := w.paid(t, line("MUG", 3), line("POT", 1))
	f := w.until(t, order, func(f *fulfilmentv1.FulfilmentOrder) bool { return f != nil })
	if f.GetState() != fulfilmentv1.FulfilmentState_FULFILMENT_STATE_OPEN || f.GetShippingAddress().GetCity() != "Town" || f.GetLines()[0].GetTitle() != "A MUG" {
		t.Errorf("got %v", f)
	}
	one := w.pack(t, order, line("MUG", 2))
	wantErr(t, second(w.deliver(ctx, one.GetId())), codes.FailedPrecondition, fulfilment.ReasonShipmentNotShipped)
	wantErr(t, second(w.CreateShipment(ctx, &fulfilmentv1.CreateShipmentRequest{OrderId: order, Lines: []*fulfilmentv1.Line{line("MUG", 2)}})),
		codes.FailedPrecondition, fulfilment.ReasonNothingToShip)
	for range 2 { // again, it changes nothing
		s, err := w.ship(ctx, one.GetId())
		if err != nil || s.GetState() != fulfilmentv1.ShipmentState_SHIPMENT_STATE_SHIPPED || s.GetTrackingNumber() != "T1" || s.GetShipTime() == nil {
			t.Fatalf("%v, %v", s, err)
		}
	}
	shipped, ok := w.next(t, order).(*fulfilmentv1.ShipmentShipped)
	if !ok || shipped.GetOrderId() != order || shipped.GetShipment().GetId() != one.GetId() || shipped.GetComplete() || uuid.Validate(shipped.GetEventId()) != nil {
		t.Errorf("told %v", shipped)
	}
	wantErr(t, second(w.ShipShipment(ctx, &fulfilmentv1.ShipShipmentRequest{ShipmentId: one.GetId(), Carrier: "UPS"})),
		codes.FailedPrecondition, fulfilment.ReasonShipmentShipped)
	wantErr(t, second(w.cancel(ctx, one.GetId())), codes.FailedPrecondition, fulfilment.ReasonShipmentShipped)

	two := w.pack(t, order) // the rest
	if len(two.GetLines()) != 2 || two.GetLines()[0].GetQuantity() != 1 {
		t.Errorf("the rest is %v", two.GetLines())
	}
	wantErr(t, second(w.CreateShipment(ctx, &fulfilmentv1.CreateShipmentRequest{OrderId: order})), codes.FailedPrecondition, fulfilment.ReasonNothingToShip)
	if s, err := w.ship(ctx, two.GetId()); err != nil {
		t.Fatalf("%v, %v", s, err)
	}
	if m, ok := w.next(t, order).(*fulfilmentv1.ShipmentShipped); !ok || !m.GetComplete() || !proto.Equal(m.GetOccurredAt(), m.GetShipment().GetShipTime()) {
		t.Errorf("told %v", m)
	}
	for i, id := range []string{two.GetId(), one.GetId(), one.GetId()} {
		if s, err := w.deliver(ctx, id); err != nil || s.GetState() != fulfilmentv1.ShipmentState_SHIPMENT_STATE_DELIVERED {
			t.Fatalf("%v, %v", s, err)
		}
		if i < 2 {
			if m, ok := w.next(t, order).(*fulfilmentv1.ShipmentDelivered); !ok || m.GetComplete() != (i == 1) || m.GetShipment().GetDeliverTime() == nil {
				t.Errorf("told %v", m)
			}
		}
	}
	f = w.until(t, order, func(f *fulfilmentv1.FulfilmentOrder) bool { return true })
	if f.GetState() != fulfilmentv1.FulfilmentState_FULFILMENT_STATE_DELIVERED || len(f.GetShipments()) != 2 || counts(f, "MUG") != [6]int64{3, 3, 3, 3, 0, 0} {
		t.Errorf("got %v", f)
	}
	w.quiet(t, order)
}

func testWhatComesBack(t *testing.T, w *warehouse) {
	ctx := t.Context()
	order := w.paid(t, line("MUG", 3))
	wantErr(t, second(w.announce(ctx, order, "", line("MUG", 1))), codes.FailedPrecondition, fulfilment.ReasonNothingToReturn)
	if _, err := w.ship(ctx, w.pack(t, order, line("MUG", 2)).GetId()); err != nil {
		t.Fatal(err)
	}
	w.next(t, order)
	request := uuid.NewString()
	r, err := w.announce(ctx, order, request, line("MUG", 1))
	if err != nil || r.GetState() != fulfilmentv1.ReturnState_RETURN_STATE_ANNOUNCED || r.GetReason() != "too small" {
		t.Fatalf("%v, %v", r, err)
	}
	again, err := w.announce(ctx, order, strings.ToUpper(request), line("MUG", 1))
	if err != nil || again.GetId() != r.GetId() {
		t.Errorf("again: %v, %v", again, err)
	}
	wantErr(t, second(w.announce(ctx, order, request, line("MUG", 2))), codes.AlreadyExists, fulfilment.ReasonRequestReused)
	wantErr(t, second(w.announce(ctx, order, "", line("MUG", 2))), codes.FailedPrecondition, fulfilment.ReasonNothingToReturn)

	never, err := w.announce(ctx, order, "", line("MUG", 1))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if c, err := w.CancelReturn(ctx, &fulfilmentv1.CancelReturnRequest{ReturnId: never.GetId()}); err != nil ||
			c.GetState() != fulfilmentv1.ReturnState_RETURN_STATE_CANCELLED {
			t.Errorf("%v, %v", c, err)
		}
	}
	wantErr(t, second(w.receive(ctx, never.GetId(), true)), codes.FailedPrecondition, fulfilment.ReasonReturnCancelled)
	for range 2 {
		r, err = w.receive(ctx, r.GetId(), true)
		if err != nil || r.GetState() != fulfilmentv1.ReturnState_RETURN_STATE_RECEIVED || !r.GetRestock() || r.GetReceiveTime() == nil {
			t.Fatalf("%v, %v", r, err)
		}
	}
	wantErr(t, second(w.receive(ctx, r.GetId(), false)), codes.FailedPrecondition, fulfilment.ReasonReturnReceived)
	wantErr(t, second(w.CancelReturn(ctx, &fulfilmentv1.CancelReturnRequest{ReturnId: r.GetId()})), codes.FailedPrecondition, fulfilment.ReasonReturnReceived)
	m, ok := w.next(t, order).(*fulfilmentv1.ReturnReceived)
	if !ok || m.GetOrderId() != order || m.GetComplete() || !m.GetGoodsReturn().GetRestock() || m.GetGoodsReturn().GetLines()[0].GetQuantity() != 1 {
		t.Errorf("told %v", m)
	}

	// The rest leaves, and everything comes back.
	if _, err := w.ship(ctx, w.pack(t, order).GetId()); err != nil {
		t.Fatal(err)
	}
	w.next(t, order)
	last, err := w.announce(ctx, order, "", line("MUG", 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.receive(ctx, last.GetId(), false); err != nil {
		t.Fatal(err)
	}
	if m, ok := w.next(t, order).(*fulfilmentv1.ReturnReceived); !ok || !m.GetComplete() || m.GetGoodsReturn().GetRestock() {
		t.Errorf("told %v", m)
	}
	f := w.until(t, order, func(f *fulfilmentv1.FulfilmentOrder) bool { return true })
	if counts(f, "MUG") != [6]int64{3, 3, 3, 0, 3, 3} || len(f.GetReturns()) != 3 {
		t.Errorf("got %v", f)
	}
	w.quiet(t, order)
}

func testACancelledOrderStays(t *testing.T, w *warehouse) {
	ctx := t.Context()
	order := w.paid(t, line("MUG", 2))
	packed := w.pack(t, order, line("MUG", 1))
	f := w.cancelled(t, order)
	if f.GetLeftBeforeCancel() || counts(f, "MUG") != [6]int64{2, 0, 0, 0, 0, 0} ||
		f.GetShipments()[0].GetState() != fulfilmentv1.ShipmentState_SHIPMENT_STATE_CANCELLED {
		t.Errorf("got %v", f)
	}
	wantErr(t, second(w.ship(ctx, packed.GetId())), codes.FailedPrecondition, fulfilment.ReasonCancelled)
	wantErr(t, second(w.CreateShipment(ctx, &fulfilmentv1.CreateShipmentRequest{OrderId: order})), codes.FailedPrecondition, fulfilment.ReasonCancelled)
	if strings.Contains(w.log.String(), order) {
		t.Errorf("logged %s", w.log)
	}

	// A parcel was quicker than the news: it is reported, it arrives, and it comes back.
	order = w.paid(t, line("MUG", 2))
	gone, stays := w.pack(t, order, line("MUG", 1)), w.pack(t, order, line("MUG", 1))
	if _, err := w.ship(ctx, gone.GetId()); err != nil {
		t.Fatal(err)
	}
	if f = w.cancelled(t, order); !f.GetLeftBeforeCancel() || counts(f, "MUG") != [6]int64{2, 1, 1, 0, 0, 0} {
		t.Errorf("got %v", f)
	}
	if !strings.Contains(w.log.String(), order) {
		t.Errorf("not in the log: %s", w.log)
	}
	wantErr(t, second(w.ship(ctx, stays.GetId())), codes.FailedPrecondition, fulfilment.ReasonCancelled)
	list, err := w.ListFulfilments(ctx, &fulfilmentv1.ListFulfilmentsRequest{LeftBeforeCancel: true})
	if err != nil || !slices.ContainsFunc(list.GetFulfilments(), func(f *fulfilmentv1.FulfilmentOrder) bool { return f.GetOrderId() == order }) ||
		slices.ContainsFunc(list.GetFulfilments(), func(f *fulfilmentv1.FulfilmentOrder) bool { return !f.GetLeftBeforeCancel() }) {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := w.deliver(ctx, gone.GetId()); err != nil {
		t.Error(err)
	}
	r, err := w.announce(ctx, order, "", line("MUG", 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.receive(ctx, r.GetId(), true); err != nil {
		t.Error(err)
	}
	if f = w.cancelled(t, order); counts(f, "MUG") != [6]int64{2, 1, 1, 1, 1, 1} { // another cancellation, another event
		t.Errorf("got %v", f)
	}
}

// As after a dead letter that was replayed.
func testACancellationOvertakesThePayment(t *testing.T, w *warehouse) {
	o := placed(line("MUG", 1))
	w.publish(t, &orderv1.OrderCancelled{EventId: uuid.NewString(), Order: o})
	// What follows on the same topic is heard later; so once it was, the first was too.
	w.cancelled(t, w.paid(t, line("MUG", 1)))
	w.publish(t, &orderv1.OrderPaid{EventId: uuid.NewString(), Order: o})
	w.paid(t, line("MUG", 1))
	wantErr(t, second(w.GetFulfilment(t.Context(), &fulfilmentv1.GetFulfilmentRequest{OrderId: o.GetId()})), codes.NotFound, fulfilment.ReasonNotFound)
}

// An event that comes again, as itself or as another that says the same, makes nothing again; one that makes no sense makes nothing at all.
func testEventsAgain(t *testing.T, w *warehouse) {
	o := placed(line("MUG", 1), line("MUG", 2)) // at two prices, say
	m := &orderv1.OrderPaid{EventId: uuid.NewString(), Order: o}
	w.publish(t, m)
	w.until(t, o.GetId(), func(f *fulfilmentv1.FulfilmentOrder) bool { return counts(f, "MUG") == [6]int64{3} })
	packed := w.pack(t, o.GetId())
	w.publish(t, m)
	w.publish(t, &orderv1.OrderPaid{EventId: uuid.NewString(), Order: o})
	w.publish(t, &orderv1.OrderPaid{EventId: uuid.NewString(), Order: placed()})
	w.publish(t, &orderv1.OrderCancelled{EventId: uuid.NewString()})
	w.paid(t, line("MUG", 1))
	f := w.until(t, o.GetId(), func(f *fulfilmentv1.FulfilmentOrder) bool { return true })
	if counts(f, "MUG") != [6]int64{3, 3} || f.GetShipments()[0].GetId() != packed.GetId() {
		t.Errorf("got %v", f)
	}
}

func testPacking(t *testing.T, w *warehouse) {
	ctx := t.Context()
	order, request := w.paid(t, line("MUG", 2), line("POT", 2)), uuid.NewString()
	pack := func(order, request string, lines ...*fulfilmentv1.Line) (*fulfilmentv1.Shipment, error) {
		return w.CreateShipment(ctx, &fulfilmentv1.CreateShipmentRequest{OrderId: order, RequestId: request, Lines: lines})
	}
	// All or nothing: the line that could be had is not kept.
	wantErr(t, second(pack(order, "", line("MUG", 1), line("POT", 3))), codes.FailedPrecondition, fulfilment.ReasonNothingToShip)
	wantErr(t, second(pack(order, "", line("CUP", 1))), codes.FailedPrecondition, fulfilment.ReasonNothingToShip)
	wantErr(t, second(pack(order, "", line("MUG", 1), line("MUG", 1))), codes.InvalidArgument, fulfilment.ReasonInvalidLines)
	wantErr(t, second(pack(order, "", line("MUG", 0))), codes.InvalidArgument, "INVALID_FIELDS")
	wantErr(t, second(pack("mine", "")), codes.InvalidArgument, "INVALID_FIELDS")
	wantErr(t, second(pack(uuid.NewString(), "")), codes.NotFound, fulfilment.ReasonNotFound)

	first, err := pack(order, request, line("POT", 1), line("MUG", 2))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := pack(order, request, line("MUG", 2), line("POT", 1)); err != nil || !proto.Equal(again, first) {
		t.Errorf("%v, %v", again, err)
	}
	wantErr(t, second(pack(order, request, line("POT", 1))), codes.AlreadyExists, fulfilment.ReasonRequestReused)
	wantErr(t, second(pack(order, request)), codes.AlreadyExists, fulfilment.ReasonRequestReused)
	for range 2 {
		if s, err := w.cancel(ctx, first.GetId()); err != nil || s.GetState() != fulfilmentv1.ShipmentState_SHIPMENT_STATE_CANCELLED {
			t.Errorf("%v, %v", s, err)
		}
	}
	wantErr(t, second(w.ship(ctx, first.GetId())), codes.FailedPrecondition, fulfilment.ReasonShipmentCancelled)
	wantErr(t, second(w.deliver(ctx, first.GetId())), codes.FailedPrecondition, fulfilment.ReasonShipmentCancelled)
	rest := uuid.NewString()
	whole, err := pack(order, rest)
	if err != nil || len(whole.GetLines()) != 2 || whole.GetLines()[1].GetQuantity() != 2 {
		t.Errorf("%v, %v", whole, err)
	}
	if again, err := pack(order, rest); err != nil || again.GetId() != whole.GetId() {
		t.Errorf("%v, %v", again, err)
	}
	nobody := uuid.NewString()
	wantErr(t, second(w.ship(ctx, nobody)), codes.NotFound, fulfilment.ReasonShipmentNotFound)
	wantErr(t, second(w.receive(ctx, nobody, true)), codes.NotFound, fulfilment.ReasonReturnNotFound)
	wantErr(t, second(w.announce(ctx, nobody, "", line("MUG", 1))), codes.NotFound, fulfilment.ReasonNotFound)
}

func testPages(t *testing.T, w *warehouse) {
	ctx := t.Context()
	var want []string
	for i := range 5 {
		want = append(want, w.paid(t, line(fmt.Sprintf("SKU-%d", i), 1)))
	}
	if _, err := w.ship(ctx, w.pack(t, want[1]).GetId()); err != nil {
		t.Fatal(err)
	}
	list := func(state fulfilmentv1.FulfilmentState) (got []string) {
		token := ""
		for range 100 {
			page, err := w.ListFulfilments(ctx, &fulfilmentv1.ListFulfilmentsRequest{PageSize: 2, PageToken: token, State: state})
			if err != nil || len(page.GetFulfilments()) > 2 {
				t.Fatal(page, err)
			}
			for _, f := range page.GetFulfilments() {
				if slices.Contains(want, f.GetOrderId()) { // not another test's
					got = append(got, f.GetOrderId())
				}
			}
			if token = page.GetNextPageToken(); token == "" {
				return got
			}
		}
		t.Fatal("the pages have no end")
		return nil
	}
	if got := list(fulfilmentv1.FulfilmentState_FULFILMENT_STATE_UNSPECIFIED); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	shipped := fulfilmentv1.FulfilmentState_FULFILMENT_STATE_SHIPPED
	if got := list(shipped); !slices.Equal(got, want[1:2]) {
		t.Errorf("got %v, want %v", got, want[1])
	}
	first, err := w.ListFulfilments(ctx, &fulfilmentv1.ListFulfilmentsRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	other := &fulfilmentv1.ListFulfilmentsRequest{State: shipped, PageToken: first.GetNextPageToken()}
	wantErr(t, second(w.ListFulfilments(ctx, other)), codes.InvalidArgument, fulfilment.ReasonPageTokenInvalid)
}
