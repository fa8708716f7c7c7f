package cart_test

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
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/cart"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
}

// pricing has mugs, dear things, euros and drafts, and the coupon TEN. What it doesn't implement is never called.
type pricing struct{ pricingv1.PricingHandler }

func (pricing) LookUpPrices(_ context.Context, in *pricingv1.LookUpPricesRequest, out *pricingv1.LookUpPricesResponse) error {
	for _, sku := range in.GetSkus() {
		price, ok := map[string]*typev1.Money{
			"MUG": {Currency: "USD", Minor: 700}, "DEAR": {Currency: "USD", Minor: cart.MaxMinor}, "EURO": {Currency: "EUR", Minor: 1},
			"DRAFT": {Currency: "USD", Minor: 1},
		}[sku]
		p := &pricingv1.SkuPrice{Sku: sku, Title: "Thing - Blue", UnitPrice: price, Status: pricingv1.PriceStatus_PRICE_STATUS_FOR_SALE}
		switch {
		case !ok:
			p.Status = pricingv1.PriceStatus_PRICE_STATUS_UNKNOWN_SKU
		case sku == "DRAFT":
			p.Status = pricingv1.PriceStatus_PRICE_STATUS_NOT_FOR_SALE
		}
		out.Prices = append(out.Prices, p)
	}
	return nil
}

func (pricing) CreateQuote(_ context.Context, in *pricingv1.CreateQuoteRequest, out *pricingv1.Quote) error {
	if in.GetCouponCode() != "" && in.GetCouponCode() != "TEN" {
		return problem.FailedPrecondition("COUPON_NOT_APPLICABLE", "there is no coupon %s", in.GetCouponCode())
	}
	out.Id, out.CouponCode, out.Country = uuid.NewString(), in.GetCouponCode(), in.GetCountry()
	out.Total = &typev1.Money{Currency: in.GetCurrency(), Minor: 630 * in.GetLines()[0].GetQuantity()}
	return nil
}

// running is the module in a host, with a real server of pricing and a real broker beside it.
type running struct {
	carts  cartv1.CartService
	broker broker.Broker
}

func start(t *testing.T, c host.Config) *running {
	t.Helper()
	nats, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Shutdown)
	b, err := events.NewJetStream(events.JetStreamConfig{URL: nats.URL(), Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	cleanup(t, b.Disconnect)

	reg := registry.NewMemoryRegistry()
	s, err := rpc.NewServer(rpc.ServerConfig{
		Name: "pricing", Contract: pricingv1.File_shop_pricing_v1_pricing_proto, Registry: reg, Log: logger(t), DrainWait: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := pricingv1.RegisterPricingHandler(s, pricing{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	cleanup(t, s.Stop)

	c.Modules, c.Registry, c.Broker, c.Log, c.DrainWait = []host.Module{cart.Module()}, reg, b, logger(t), time.Millisecond
	c.Watch = rpc.Watched(t)
	h, err := host.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cleanup(t, func() error { return h.Shutdown(context.Background()) })
	return &running{carts: cartv1.NewCartService(cart.Name, h.Client()), broker: b}
}

func cleanup(t *testing.T, stop func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestModule runs the real module in a real host, and calls it over the network.
func TestModule(t *testing.T) {
	for name, c := range map[string]func(t *testing.T) host.Config{
		"sqlite":   func(t *testing.T) host.Config { return host.Config{DataDir: t.TempDir()} },
		"postgres": func(t *testing.T) host.Config { return host.Config{DataURL: datatest.PostgresURL(t, cart.Name)} },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, c(t))
			t.Run("a cart's life", r.life)
			t.Run("refusals", r.refusals)
			t.Run("bad requests", r.badRequests)
			t.Run("once for a key", r.once)
			t.Run("from the login to the checkout", r.checkout)
		})
	}
}

func (r *running) life(t *testing.T) {
	ctx := t.Context()
	c, err := r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if c.GetState() != cartv1.CartState_CART_STATE_OPEN || !proto.Equal(c.GetTotal(), &typev1.Money{}) || len(c.GetItems()) != 0 ||
		time.Since(c.GetCreateTime().AsTime()).Abs() > time.Minute || !proto.Equal(c.GetCreateTime(), c.GetUpdateTime()) {
		t.Errorf("an empty cart: %v", c)
	}
	usd := func(minor int64) *typev1.Money { return &typev1.Money{Currency: "USD", Minor: minor} }
	id := strings.ToUpper(c.GetId())
	for i, step := range []struct {
		do       func() (*cartv1.ShoppingCart, error)
		quantity int64
	}{
		{func() (*cartv1.ShoppingCart, error) {
			return r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: id, Sku: "MUG", Quantity: 2})
		}, 2},
		{func() (*cartv1.ShoppingCart, error) {
			return r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: id, Sku: "MUG", Quantity: 3})
		}, 5},
		{func() (*cartv1.ShoppingCart, error) {
			return r.carts.UpdateItem(ctx, &cartv1.UpdateItemRequest{CartId: id, Sku: "MUG", Quantity: 4})
		}, 4},
		{func() (*cartv1.ShoppingCart, error) {
			return r.carts.UpdateItem(ctx, &cartv1.UpdateItemRequest{CartId: id, Sku: "MUG"})
		}, 0},
		{func() (*cartv1.ShoppingCart, error) {
			return r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: id, Sku: "MUG", Quantity: 1})
		}, 1},
		{func() (*cartv1.ShoppingCart, error) {
			return r.carts.RemoveItem(ctx, &cartv1.RemoveItemRequest{CartId: id, Sku: "MUG"})
		}, 0},
		{func() (*cartv1.ShoppingCart, error) {
			return r.carts.RemoveItem(ctx, &cartv1.RemoveItemRequest{CartId: id, Sku: "MUG"})
		}, 0},
		{func() (*cartv1.ShoppingCart, error) {
			return r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: id, Sku: "MUG", Quantity: 6})
		}, 6},
	} {
		want := &cartv1.ShoppingCart{
			Id: c.GetId(), State: cartv1.CartState_CART_STATE_OPEN, CreateTime: c.GetCreateTime(), Total: &typev1.Money{},
		}
		if step.quantity > 0 {
			want.Total = usd(step.quantity * 700)
			want.Items = []*cartv1.Item{{Sku: "MUG", Title: "Thing - Blue", Quantity: step.quantity, UnitPrice: usd(700), LineTotal: want.GetTotal()}}
		}
		got, err := step.do()
		want.UpdateTime = got.GetUpdateTime()
		if err != nil || !proto.Equal(got, want) {
			t.Fatalf("step %d: %v, %v\nwant %v", i, got, err, want)
		}
		if read, err := r.carts.GetCart(ctx, &cartv1.GetCartRequest{CartId: id}); err != nil || !proto.Equal(read, got) {
			t.Errorf("step %d: read %v, %v\nwant %v", i, read, err, got)
		}
	}

	m := &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: &orderv1.PlacedOrder{Id: uuid.NewString(), CartId: c.GetId()}}
	if err := events.Publish(ctx, r.broker, m); err != nil {
		t.Fatal(err)
	}
	r.waitUntilOrdered(t, c.GetId())
	_, err = r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: id, Sku: "MUG", Quantity: 1})
	mustFail(t, err, codes.FailedPrecondition, cart.ReasonCartOrdered)
}

func (r *running) waitUntilOrdered(t *testing.T, id string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		got, err := r.carts.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: id})
		if err != nil {
			t.Fatal(err)
		}
		if got.GetState() == cartv1.CartState_CART_STATE_ORDERED {
			if len(got.GetItems()) != 1 || got.GetItems()[0].GetQuantity() != 6 {
				t.Errorf("the ordered cart is %v", got)
			}
			return
		}
	}
	t.Fatal("the cart didn't hear of its order")
}

func (r *running) refusals(t *testing.T) {
	ctx := t.Context()
	c, err := r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{Items: []*cartv1.NewItem{{Sku: "MUG", Quantity: 1}}})
	if err != nil || c.GetTotal().GetMinor() != 700 {
		t.Fatal(c, err)
	}
	for _, bad := range []struct {
		sku    string
		code   codes.Code
		reason string
	}{
		{"NONE", codes.NotFound, cart.ReasonVariantNotFound},
		{"EURO", codes.FailedPrecondition, cart.ReasonCurrencyMismatch},
		{"DEAR", codes.FailedPrecondition, cart.ReasonTotalTooLarge},
		{"DRAFT", codes.FailedPrecondition, cart.ReasonProductNotForSale},
	} {
		_, err := r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: c.GetId(), Sku: bad.sku, Quantity: 1})
		mustFail(t, err, bad.code, bad.reason)
		_, err = r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{Items: []*cartv1.NewItem{{Sku: "MUG", Quantity: 1}, {Sku: bad.sku, Quantity: 1}}})
		mustFail(t, err, bad.code, bad.reason)
	}
	_, err = r.carts.UpdateItem(ctx, &cartv1.UpdateItemRequest{CartId: c.GetId(), Sku: "EURO", Quantity: 1})
	mustFail(t, err, codes.NotFound, cart.ReasonItemNotFound)
	_, err = r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: c.GetId(), Sku: "MUG", Quantity: cart.MaxPieces})
	mustFail(t, err, codes.FailedPrecondition, cart.ReasonQuantityTooLarge)
	for _, call := range []func(id string) error{
		func(id string) error { _, err := r.carts.GetCart(ctx, &cartv1.GetCartRequest{CartId: id}); return err },
		func(id string) error {
			_, err := r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: id, Sku: "MUG", Quantity: 1})
			return err
		},
		func(id string) error {
			_, err := r.carts.UpdateItem(ctx, &cartv1.UpdateItemRequest{CartId: id, Sku: "MUG", Quantity: 1})
			return err
		},
		func(id string) error {
			_, err := r.carts.RemoveItem(ctx, &cartv1.RemoveItemRequest{CartId: id, Sku: "MUG"})
			return err
		},
	} {
		mustFail(t, call(uuid.NewString()), codes.NotFound, cart.ReasonCartNotFound)
		if err := call("1 OR 1=1"); err == nil || problem.From(err).Code != codes.InvalidArgument {
			t.Errorf("an id that isn't one: %v", err)
		}
	}
}

func (r *running) badRequests(t *testing.T) {
	ctx := t.Context()
	c, err := r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"no pieces": func() error {
			_, err := r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: c.GetId(), Sku: "MUG"})
			return err
		},
		"too many pieces": func() error {
			_, err := r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: c.GetId(), Sku: "MUG", Quantity: cart.MaxPieces + 1})
			return err
		},
		"negative pieces": func() error {
			_, err := r.carts.UpdateItem(ctx, &cartv1.UpdateItemRequest{CartId: c.GetId(), Sku: "MUG", Quantity: -1})
			return err
		},
		"no SKU": func() error {
			_, err := r.carts.RemoveItem(ctx, &cartv1.RemoveItemRequest{CartId: c.GetId()})
			return err
		},
		"too many lines": func() error {
			_, err := r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{Items: make([]*cartv1.NewItem, cart.MaxLines+1)})
			return err
		},
	} {
		if err := call(); err == nil || problem.From(err).Code != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A guest's cart is the customer's after the login, and says at the checkout what it costs.
func (r *running) checkout(t *testing.T) {
	ctx, ann := t.Context(), uuid.NewString()
	mugs := func(n int64) []*cartv1.NewItem { return []*cartv1.NewItem{{Sku: "MUG", Quantity: n}} }
	_, err := r.carts.GetCustomerCart(ctx, &cartv1.GetCustomerCartRequest{CustomerId: ann})
	mustFail(t, err, codes.NotFound, cart.ReasonCartNotFound)
	hers, err := r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{CustomerId: strings.ToUpper(ann), Items: mugs(1)})
	if err != nil || hers.GetCustomerId() != ann {
		t.Fatal(hers, err)
	}
	guest, err := r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{Items: mugs(2)})
	if err != nil || guest.GetCustomerId() != "" {
		t.Fatal(guest, err)
	}
	_, err = r.carts.AssignCart(ctx, &cartv1.AssignCartRequest{CartId: guest.GetId(), CustomerId: ann})
	mustFail(t, err, codes.AlreadyExists, cart.ReasonCustomerHasCart)
	both, err := r.carts.MergeCart(ctx, &cartv1.MergeCartRequest{FromCartId: guest.GetId(), CustomerId: ann})
	if err != nil || both.GetId() != hers.GetId() || both.GetTotal().GetMinor() != 3*700 {
		t.Fatal(both, err)
	}
	if c, err := r.carts.GetCart(ctx, &cartv1.GetCartRequest{CartId: guest.GetId()}); err != nil ||
		c.GetState() != cartv1.CartState_CART_STATE_MERGED || c.GetMergedInto() != hers.GetId() {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := r.carts.GetCustomerCart(ctx, &cartv1.GetCustomerCartRequest{CustomerId: ann}); err != nil || !proto.Equal(c, both) {
		t.Errorf("%v, %v", c, err)
	}
	_, err = r.carts.SetCoupon(ctx, &cartv1.SetCouponRequest{CartId: hers.GetId(), CouponCode: "twenty"})
	mustFail(t, err, codes.FailedPrecondition, "COUPON_NOT_APPLICABLE")
	if c, err := r.carts.SetCoupon(ctx, &cartv1.SetCouponRequest{CartId: hers.GetId(), CouponCode: "ten"}); err != nil || c.GetCouponCode() != "TEN" {
		t.Errorf("%v, %v", c, err)
	}
	got, err := r.carts.RequoteCart(ctx, &cartv1.RequoteCartRequest{CartId: hers.GetId(), Country: "DE"})
	if err != nil || len(got.GetChanges()) != 0 || got.GetCart().GetCouponCode() != "TEN" || got.GetQuote().GetTotal().GetMinor() != 3*630 ||
		got.GetQuote().GetCouponCode() != "TEN" || got.GetQuote().GetCountry() != "DE" {
		t.Errorf("%v, %v", got, err)
	}
	empty, err := r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.carts.RequoteCart(ctx, &cartv1.RequoteCartRequest{CartId: empty.GetId()}); err != nil || got.GetQuote() != nil || got.GetCart() == nil {
		t.Errorf("%v, %v", got, err)
	}
}

// A command that is sent twice with one key is done once, and answered as the first time, even when it couldn't be done any more.
func (r *running) once(t *testing.T) {
	ctx := idempotency.WithKey(t.Context(), uuid.NewString())
	in := &cartv1.CreateCartRequest{Items: []*cartv1.NewItem{{Sku: "MUG", Quantity: 1}, {Sku: "MUG", Quantity: 1}}}
	c, err := r.carts.CreateCart(ctx, in)
	if err != nil || c.GetTotal().GetMinor() != 1400 {
		t.Fatal(c, err)
	}
	if again, err := r.carts.CreateCart(ctx, in); err != nil || !proto.Equal(again, c) {
		t.Errorf("%v, %v", again, err)
	}
	in.Items = nil
	_, err = r.carts.CreateCart(ctx, in)
	mustFail(t, err, codes.FailedPrecondition, idempotency.ReasonReused)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: c.GetId(), Sku: "MUG", Quantity: 3})
			if err != nil && problem.From(err).Reason != idempotency.ReasonInUse {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := r.carts.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: c.GetId()}); err != nil || got.GetTotal().GetMinor() != 5*700 {
		t.Errorf("%v, %v", got, err)
	}
	_, err = r.carts.AddItem(idempotency.WithKey(t.Context(), uuid.NewString()), &cartv1.AddItemRequest{CartId: c.GetId(), Sku: "NONE", Quantity: 3})
	mustFail(t, err, codes.NotFound, cart.ReasonVariantNotFound)
}

func mustFail(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %s %s", err, code, reason)
	}
}
