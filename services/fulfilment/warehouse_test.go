package fulfilment_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/fulfilment"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// warehouse is the module, run by a host and called as others call it, the broker it listens to, and what it tells there.
type warehouse struct {
	fulfilmentv1.FulfilmentService
	broker broker.Broker
	log    *journal
	told   chan proto.Message
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// each runs fn on every database.
func each(t *testing.T, fn func(t *testing.T, w *warehouse)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, open(t, "")) })
	t.Run("postgres", func(t *testing.T) { fn(t, open(t, datatest.PostgresURL(t, "fulfilment"))) })
}

func open(t *testing.T, url string) *warehouse {
	t.Helper()
	nats, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Shutdown)
	b, err := events.NewJetStream(events.JetStreamConfig{
		URL: nats.URL(), Name: t.Name(), Delivery: events.Delivery{Backoff: []time.Duration{10 * time.Millisecond}},
	})
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
	w := &warehouse{broker: b, log: &journal{}, told: make(chan proto.Message, 100)}
	listen[*fulfilmentv1.ShipmentShipped](t, w)
	listen[*fulfilmentv1.ShipmentDelivered](t, w)
	listen[*fulfilmentv1.ReturnReceived](t, w)
	h, err := host.New(host.Config{
		Modules: []host.Module{fulfilment.Module()}, Registry: registry.NewMemoryRegistry(), Broker: b, DataURL: url, DataDir: t.TempDir(),
		Log: slog.New(slog.NewTextHandler(w.log, nil)), DrainWait: time.Millisecond, Watch: rpc.Watched(t),
	})
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
	w.FulfilmentService = fulfilmentv1.NewFulfilmentService("fulfilment", h.Client())
	return w
}

func listen[M proto.Message](t *testing.T, w *warehouse) {
	t.Helper()
	sub, err := events.Subscribe(w.broker, "test", func(_ context.Context, m M) error { w.told <- m; return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sub.Unsubscribe(); err != nil {
			t.Error(err)
		}
	})
}

// of is the order of an event.
func of(m proto.Message) string {
	e, ok := m.(interface{ GetOrderId() string })
	if !ok {
		return ""
	}
	return e.GetOrderId()
}

// next is the next event of an order that the module sends.
func (w *warehouse) next(t *testing.T, order string) proto.Message {
	t.Helper()
	for late := time.After(patience); ; {
		select {
		case m := <-w.told:
			if of(m) == order {
				return m
			}
		case <-late:
			t.Fatal("the event didn't come")
		}
	}
}

// quiet fails when the module has sent an event of an order that nobody waits for.
func (w *warehouse) quiet(t *testing.T, order string) {
	t.Helper()
	for {
		select {
		case m := <-w.told:
			if of(m) == order {
				t.Errorf("unexpected %s: %v", events.Topic(m), m)
			}
		default:
			return
		}
	}
}

func placed(lines ...*fulfilmentv1.Line) *orderv1.PlacedOrder {
	o := &orderv1.PlacedOrder{
		Id: uuid.NewString(), State: orderv1.OrderState_ORDER_STATE_PAID,
		ShippingAddress: &typev1.Address{Name: "Ada", Line1: "1 Way", City: "Town", PostalCode: "12345", Country: "DE"},
	}
	for _, l := range lines {
		o.Lines = append(o.Lines, &orderv1.OrderLine{Sku: l.GetSku(), Title: "A " + l.GetSku(), Quantity: l.GetQuantity()})
	}
	return o
}

func line(sku string, n int64) *fulfilmentv1.Line { return &fulfilmentv1.Line{Sku: sku, Quantity: n} }

func (w *warehouse) publish(t *testing.T, m proto.Message) {
	t.Helper()
	if err := events.Publish(t.Context(), w.broker, m); err != nil {
		t.Fatal(err)
	}
}

// paid has an order paid, and waits until it is to be shipped.
func (w *warehouse) paid(t *testing.T, lines ...*fulfilmentv1.Line) string {
	t.Helper()
	o := placed(lines...)
	w.publish(t, &orderv1.OrderPaid{EventId: uuid.NewString(), Order: o})
	w.until(t, o.GetId(), func(f *fulfilmentv1.FulfilmentOrder) bool { return f != nil })
	return o.GetId()
}

// cancelled has an order cancelled, and waits until the module knows.
func (w *warehouse) cancelled(t *testing.T, orderID string) *fulfilmentv1.FulfilmentOrder {
	t.Helper()
	w.publish(t, &orderv1.OrderCancelled{EventId: uuid.NewString(), Order: &orderv1.PlacedOrder{Id: orderID}})
	return w.until(t, orderID, func(f *fulfilmentv1.FulfilmentOrder) bool {
		return f.GetState() == fulfilmentv1.FulfilmentState_FULFILMENT_STATE_CANCELLED
	})
}

// until waits until a fulfilment is as ok wants it; ok gets nil while there is none.
func (w *warehouse) until(t *testing.T, orderID string, ok func(*fulfilmentv1.FulfilmentOrder) bool) *fulfilmentv1.FulfilmentOrder {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		f, err := w.GetFulfilment(t.Context(), &fulfilmentv1.GetFulfilmentRequest{OrderId: orderID})
		if err != nil && problem.From(err).Code != codes.NotFound {
			t.Fatal(err)
		}
		if err != nil {
			f = nil
		}
		if ok(f) {
			return f
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("order %s stays %v", orderID, f)
		}
	}
}

func (w *warehouse) pack(t *testing.T, orderID string, lines ...*fulfilmentv1.Line) *fulfilmentv1.Shipment {
	t.Helper()
	s, err := w.CreateShipment(t.Context(), &fulfilmentv1.CreateShipmentRequest{OrderId: orderID, Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *warehouse) ship(ctx context.Context, id string) (*fulfilmentv1.Shipment, error) {
	return w.ShipShipment(ctx, &fulfilmentv1.ShipShipmentRequest{ShipmentId: id, Carrier: "DHL", TrackingNumber: "T1"})
}

func (w *warehouse) deliver(ctx context.Context, id string) (*fulfilmentv1.Shipment, error) {
	return w.DeliverShipment(ctx, &fulfilmentv1.DeliverShipmentRequest{ShipmentId: id})
}

func (w *warehouse) cancel(ctx context.Context, id string) (*fulfilmentv1.Shipment, error) {
	return w.CancelShipment(ctx, &fulfilmentv1.CancelShipmentRequest{ShipmentId: id})
}

func (w *warehouse) announce(ctx context.Context, orderID, requestID string, lines ...*fulfilmentv1.Line) (*fulfilmentv1.GoodsReturn, error) {
	return w.CreateReturn(ctx, &fulfilmentv1.CreateReturnRequest{OrderId: orderID, Lines: lines, Reason: "too small", RequestId: requestID})
}

func (w *warehouse) receive(ctx context.Context, id string, restock bool) (*fulfilmentv1.GoodsReturn, error) {
	return w.ReceiveReturn(ctx, &fulfilmentv1.ReceiveReturnRequest{ReturnId: id, Restock: restock})
}

func wantErr(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	p := problem.From(err)
	if p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %v %s", err, code, reason)
	}
}

func second[T any](_ T, err error) error { return err }

// counts are a line's, in the order of the law.
func counts(f *fulfilmentv1.FulfilmentOrder, sku string) [6]int64 {
	for _, l := range f.GetLines() {
		if l.GetSku() == sku {
			return [6]int64{l.GetOrdered(), l.GetPacked(), l.GetShipped(), l.GetDelivered(), l.GetReturning(), l.GetReturned()}
		}
	}
	return [6]int64{-1}
}
