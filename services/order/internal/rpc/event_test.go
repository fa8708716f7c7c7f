package rpc_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/outbox"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/order/internal/rpc"
	"github.com/cleavehq/cleave/services/order/internal/sale"
	"github.com/cleavehq/cleave/services/order/internal/store"
)

func TestMain(m *testing.M) {
	// A cache that one of go-micro's packages makes when it is imported never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// told returns the last event that was written for a key.
func told(t *testing.T, db *sql.DB, key string) proto.Message {
	t.Helper()
	var topic string
	var body []byte
	if err := db.QueryRow(`SELECT topic, body FROM outbox WHERE key = $1 ORDER BY seq DESC LIMIT 1`, key).Scan(&topic, &body); err != nil {
		t.Fatal(err)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByURL("/" + topic)
	if err != nil {
		t.Fatal(err)
	}
	m := kind.New().Interface()
	if err := proto.Unmarshal(body, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEvents(t *testing.T) {
	db := datatest.SQLite(t, "order", store.Migrations(), outbox.Schema())
	at := time.Date(2026, 11, 3, 12, 0, 0, 123_000, time.UTC)
	cents := func(minor int64) sale.Money { return sale.Money{Currency: "USD", Minor: minor} }
	usd := func(minor int64) *typev1.Money { return &typev1.Money{Currency: "USD", Minor: minor} }
	o := sale.Order{
		ID: "o", RequestID: "r", CartID: "c", CustomerID: "who", Email: "ada@example.com", State: sale.Paid, PaymentID: "p", QuoteID: "q", Coupon: "TENTH",
		Address:  sale.Address{Name: "Ada", Line1: "1", Line2: "2", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"},
		Lines:    []sale.Line{{SKU: "A", Title: "a", Quantity: 3, Unit: cents(7), Discount: cents(2), Tax: cents(1), Total: cents(20), Shipped: 3, Delivered: 2, Returned: 1}},
		Subtotal: cents(21), Discount: cents(2), Tax: cents(1), Total: cents(20), Captured: cents(20), Refunded: cents(5),
		Refunds: []sale.Refund{{ID: "back", State: sale.Done, Amount: cents(5), Reason: "a scratch", Created: at}},
		Created: at.Add(-time.Second), Updated: at, Work: sale.Work{Attempts: 2, LastError: "WHY"},
	}
	back := &orderv1.OrderRefund{Id: "back", State: orderv1.RefundState_REFUND_STATE_DONE, Amount: usd(5), Reason: "a scratch", CreateTime: timestamppb.New(at)}
	placed := &orderv1.PlacedOrder{
		Id: "o", State: orderv1.OrderState_ORDER_STATE_PAID, CartId: "c", CustomerId: "who", Email: "ada@example.com", PaymentId: "p", QuoteId: "q",
		CouponCode: "TENTH", ShippingAddress: &typev1.Address{Name: "Ada", Line1: "1", Line2: "2", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"},
		Lines: []*orderv1.OrderLine{{
			Sku: "A", Title: "a", Quantity: 3, UnitPrice: usd(7), LineTotal: usd(21), Discount: usd(2), Tax: usd(1), Total: usd(20),
			Shipped: 3, Delivered: 2, Returned: 1,
		}},
		Subtotal: usd(21), Discount: usd(2), Tax: usd(1), Total: usd(20), Captured: usd(20), Refunded: usd(5), Refunds: []*orderv1.OrderRefund{back},
		CreateTime: timestamppb.New(at.Add(-time.Second)), UpdateTime: timestamppb.New(at), Attempts: 2, LastError: "WHY",
	}
	tell := func(e sale.Entry) error {
		return data.Tx(context.Background(), db, func(tx *sql.Tx) error { return rpc.Tell(context.Background(), tx, o, e) })
	}
	when := timestamppb.New(at)
	for kind, want := range map[sale.Event]proto.Message{
		sale.OrderConfirmed: &orderv1.OrderConfirmed{OccurredAt: when, Order: placed},
		sale.OrderPaid:      &orderv1.OrderPaid{OccurredAt: when, Order: placed},
		sale.OrderShipped:   &orderv1.OrderShipped{OccurredAt: when, Order: placed},
		sale.OrderDelivered: &orderv1.OrderDelivered{OccurredAt: when, Order: placed},
		sale.OrderReturned:  &orderv1.OrderReturned{OccurredAt: when, Order: placed},
		sale.OrderRefunded:  &orderv1.OrderRefunded{OccurredAt: when, Order: placed, Refund: back},
	} {
		if err := tell(sale.Entry{At: at, Tell: kind, Refund: o.Refunds[0]}); err != nil {
			t.Fatal(err)
		}
		mustEqual(t, told(t, db, "o"), want)
	}

	// Who packs it hears of a cancellation before the money is back, and why.
	o.Why = sale.Refusal{Code: codes.FailedPrecondition, Reason: sale.ReasonCustomerRequest, Message: "m"}
	placed.Unfinished, placed.CancelReason = true, sale.ReasonCustomerRequest
	if err := tell(sale.Entry{At: at, Tell: sale.OrderCancelled}); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, told(t, db, "o"), &orderv1.OrderCancelled{OccurredAt: when, Order: placed})

	if err := tell(sale.Entry{At: at, Tell: "Nonsense"}); err == nil {
		t.Error("nonsense was told")
	}
	o.Lines[0].Quantity = -1 // not an order that adds up
	if err := tell(sale.Entry{At: at, Tell: sale.OrderPaid}); err == nil {
		t.Error("an order that doesn't add up was told")
	}
}

// mustEqual compares events but for their id, which must be there.
func mustEqual(t *testing.T, got, want proto.Message) {
	t.Helper()
	r := got.ProtoReflect()
	id := r.Descriptor().Fields().ByName("event_id")
	if len(r.Get(id).String()) != 36 {
		t.Errorf("the id is %q", r.Get(id))
	}
	r.Clear(id)
	if !proto.Equal(got, want) {
		t.Errorf("told %v\nwant %v", got, want)
	}
}
