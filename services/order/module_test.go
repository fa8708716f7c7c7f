package order_test

import (
	"context"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
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
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/order"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// running is the module in a host, with real servers around it.
type running struct {
	orders    orderv1.OrderService
	peers     *peers
	confirmed chan *orderv1.OrderConfirmed
	cancelled chan *orderv1.OrderCancelled
	broker    *events.JetStream
	// away takes the broker away, and back brings it back.
	away, back func()
}

func start(t *testing.T, c host.Config) *running {
	t.Helper()
	conf := events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true}
	nats, err := events.StartEmbedded(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nats.Shutdown() })
	at, err := url.Parse(nats.URL())
	if err != nil {
		t.Fatal(err)
	}
	if conf.Port, err = strconv.Atoi(at.Port()); err != nil {
		t.Fatal(err)
	}
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
	r := &running{broker: b, away: func() { nats.Shutdown() }, back: func() {
		if nats, err = events.StartEmbedded(conf); err != nil {
			t.Fatal(err)
		}
	}, confirmed: make(chan *orderv1.OrderConfirmed, 10), cancelled: make(chan *orderv1.OrderCancelled, 10)}
	listen(t, b, r.confirmed)
	listen(t, b, r.cancelled)

	c.DrainWait, c.Watch = time.Millisecond, rpc.Watched(t)
	c.Modules, c.Registry, c.Broker, c.Log = []host.Module{order.Module()}, registry.NewMemoryRegistry(), b, logger(t)
	r.peers = startPeers(t, c.Registry)
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
	r.orders = orderv1.NewOrderService(order.Name, h.Client())
	return r
}

func listen[M proto.Message](t *testing.T, b *events.JetStream, to chan<- M) {
	t.Helper()
	sub, err := events.Subscribe(b, "test", func(_ context.Context, m M) error { to <- m; return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sub.Unsubscribe(); err != nil {
			t.Error(err)
		}
	})
}

func within[M any](t *testing.T, from <-chan M) M {
	t.Helper()
	select {
	case m := <-from:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("the event didn't come")
		panic("unreachable")
	}
}

func mustFail(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %s %s", err, code, reason)
	}
}

func purchase(cart string) *orderv1.CreateOrderRequest {
	return &orderv1.CreateOrderRequest{
		CartId: cart, Email: "ada@example.com", PaymentToken: "tok_visa", RequestId: uuid.NewString(),
		ShippingAddress: &typev1.Address{Name: "Ada Lovelace", Line1: "12 St James's Square", City: "London", Country: "GB"},
	}
}

// TestModule runs the real module in a real host, and calls it over the network.
func TestModule(t *testing.T) {
	for name, c := range map[string]func(t *testing.T) host.Config{
		"sqlite":   func(t *testing.T) host.Config { return host.Config{DataDir: t.TempDir()} },
		"postgres": func(t *testing.T) host.Config { return host.Config{DataURL: datatest.PostgresURL(t, order.Name)} },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, c(t))
			t.Run("buy", r.buy)
			t.Run("refusals", r.refusals)
			t.Run("bad requests", r.badRequests)
			t.Run("list", r.list)
			t.Run("the worker finishes it", r.workerFinishes)
			t.Run("call off", r.callOff)
			t.Run("there and back", r.thereAndBack)
			t.Run("without a broker", r.withoutABroker)
		})
	}
}

func (r *running) buy(t *testing.T) {
	req := purchase(strings.ToUpper(uuid.NewString()))
	o, err := r.orders.CreateOrder(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if o.GetState() != orderv1.OrderState_ORDER_STATE_PAID || o.GetTotal().GetMinor() != 2100 || o.GetCartId() != strings.ToLower(req.GetCartId()) ||
		len(o.GetLines()) != 1 || o.GetLines()[0].GetLineTotal().GetMinor() != 2100 || o.GetShippingAddress().GetCity() != "London" {
		t.Errorf("%v", o)
	}
	if got := within(t, r.confirmed); got.GetOrder().GetId() != o.GetId() || got.GetOrder().GetCartId() != o.GetCartId() {
		t.Errorf("event %v of order %s", got, o.GetId())
	}
	read, err := r.orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: strings.ToUpper(o.GetId())})
	if err != nil || !proto.Equal(read, o) {
		t.Errorf("read %v, %v\nmade %v", read, err, o)
	}
	req.CartId, req.RequestId = strings.ToLower(req.GetCartId()), strings.ToUpper(req.GetRequestId())
	again, err := r.orders.CreateOrder(t.Context(), req)
	if err != nil || !proto.Equal(again, o) {
		t.Errorf("again %v, %v", again, err)
	}
	_, err = r.orders.CreateOrder(t.Context(), purchase(req.GetCartId()))
	mustFail(t, err, codes.FailedPrecondition, order.ReasonCartOrdered)
	r.peers.mu.Lock()
	defer r.peers.mu.Unlock()
	if len(r.peers.payments) != 1 || r.peers.payments[o.GetPaymentId()].GetState() != paymentv1.PaymentState_PAYMENT_STATE_CAPTURED ||
		r.peers.reservations[o.GetId()] != inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED {
		t.Errorf("payments %v, reservations %v", r.peers.payments, r.peers.reservations)
	}
}

func (r *running) refusals(t *testing.T) {
	_, err := r.orders.CreateOrder(t.Context(), purchase(soldOut))
	mustFail(t, err, codes.FailedPrecondition, order.ReasonOutOfStock)
	if got := within(t, r.cancelled).GetOrder(); got.GetCancelReason() != order.ReasonOutOfStock || got.GetState() != orderv1.OrderState_ORDER_STATE_CANCELLED {
		t.Errorf("%v", got)
	}
	declined := purchase(uuid.NewString())
	declined.PaymentToken = "tok_declined"
	_, err = r.orders.CreateOrder(t.Context(), declined)
	mustFail(t, err, codes.FailedPrecondition, order.ReasonPaymentDeclined)
	got := within(t, r.cancelled).GetOrder()
	r.peers.mu.Lock()
	defer r.peers.mu.Unlock()
	if state := r.peers.reservations[got.GetId()]; state != inventoryv1.ReservationState_RESERVATION_STATE_RELEASED {
		t.Errorf("the stock of %v is %s", got, state)
	}
}

func (r *running) badRequests(t *testing.T) {
	for name, spoil := range map[string]func(*orderv1.CreateOrderRequest){
		"no cart":       func(in *orderv1.CreateOrderRequest) { in.CartId = "" },
		"no e-mail":     func(in *orderv1.CreateOrderRequest) { in.Email = "ada" },
		"a card number": func(in *orderv1.CreateOrderRequest) { in.PaymentToken = "4242424242424242" },
		"no address":    func(in *orderv1.CreateOrderRequest) { in.ShippingAddress = nil },
		"a country":     func(in *orderv1.CreateOrderRequest) { in.ShippingAddress.Country = "England" },
		"a NUL":         func(in *orderv1.CreateOrderRequest) { in.ShippingAddress.Line2 = "\x00" },
		"a request id":  func(in *orderv1.CreateOrderRequest) { in.RequestId = "1" },
	} {
		in := purchase(uuid.NewString())
		spoil(in)
		if _, err := r.orders.CreateOrder(t.Context(), in); err == nil || problem.From(err).Code != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := r.orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: uuid.NewString()})
	mustFail(t, err, codes.NotFound, order.ReasonOrderNotFound)
	_, err = r.orders.ListOrders(t.Context(), &orderv1.ListOrdersRequest{PageToken: "garbage"})
	mustFail(t, err, codes.InvalidArgument, order.ReasonPageTokenInvalid)
}

// list counts on what buy and refusals have made: one paid order, two cancelled ones.
func (r *running) list(t *testing.T) {
	var all []*orderv1.PlacedOrder
	in := &orderv1.ListOrdersRequest{PageSize: 1}
	for range 3 {
		page, err := r.orders.ListOrders(t.Context(), in)
		if err != nil || len(page.GetOrders()) != 1 {
			t.Fatal(page, err)
		}
		all = append(all, page.GetOrders()...)
		in.PageToken = page.GetNextPageToken()
	}
	if in.GetPageToken() != "" || all[0].GetCancelReason() != order.ReasonPaymentDeclined || all[1].GetCancelReason() != order.ReasonOutOfStock ||
		all[2].GetState() != orderv1.OrderState_ORDER_STATE_PAID || all[2].GetCancelReason() != "" {
		t.Errorf("%v", all)
	}
	for state, want := range map[orderv1.OrderState]int{
		orderv1.OrderState_ORDER_STATE_UNSPECIFIED: 3, orderv1.OrderState_ORDER_STATE_CANCELLED: 2,
		orderv1.OrderState_ORDER_STATE_PAID: 1, orderv1.OrderState_ORDER_STATE_PENDING: 0,
	} {
		page, err := r.orders.ListOrders(t.Context(), &orderv1.ListOrdersRequest{State: state})
		if err != nil || len(page.GetOrders()) != want || page.GetNextPageToken() != "" {
			t.Errorf("%s: %v, %v; want %d", state, page, err, want)
		}
	}
}
