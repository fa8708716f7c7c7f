package pricing_test

import (
	"context"
	"flag"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/pricing"
)

func TestMain(m *testing.M) {
	// Each run of a law is thirty calls on a real database. It may be asked for more: -rapid.checks=1000.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// catalogue has mugs, spoons, dear things, euros and drafts. What it doesn't implement is never called.
type catalogue struct{ catalogv1.CatalogHandler }

func (catalogue) GetVariant(_ context.Context, in *catalogv1.GetVariantRequest, out *catalogv1.GetVariantResponse) error {
	price, ok := map[string]*typev1.Money{
		"MUG": usd(700), "SPOON": usd(50), "DEAR": usd(pricing.MaxMinor), "EURO": {Currency: "EUR", Minor: 3}, "DRAFT": usd(1),
	}[in.GetSku()]
	if !ok {
		return problem.NotFound("VARIANT_NOT_FOUND", "no variant %q", in.GetSku())
	}
	out.Variant = &catalogv1.Variant{Sku: in.GetSku(), Title: "Blue", Price: price}
	out.ProductTitle, out.ProductStatus = "Thing", catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE
	if in.GetSku() == "DRAFT" {
		out.ProductStatus = catalogv1.ProductStatus_PRODUCT_STATUS_DRAFT
	}
	return nil
}

// shop is the module, run by a host and called as others call it, and its clock.
type shop struct {
	pricingv1.PricingService
	config host.Config
	host   *host.Host
	mu     sync.Mutex
	now    time.Time
}

func (s *shop) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// later moves the clock.
func (s *shop) later(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// each runs fn on every database.
func each(t *testing.T, fn func(t *testing.T, s *shop)) {
	t.Helper()
	t.Parallel() // most of the time is PostgreSQL's, which makes a database for each
	t.Run("sqlite", func(t *testing.T) { fn(t, open(t, "")) })
	t.Run("postgres", func(t *testing.T) { fn(t, open(t, datatest.PostgresURL(t, pricing.Name))) })
}

// open starts the module beside a real catalogue server.
func open(t *testing.T, url string) *shop {
	t.Helper()
	reg := registry.NewMemoryRegistry()
	peer, err := rpc.NewServer(rpc.ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: slog.New(slog.DiscardHandler),
		DrainWait: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := catalogv1.RegisterCatalogHandler(peer, catalogue{}); err != nil {
		t.Fatal(err)
	}
	if err := peer.Start(); err != nil {
		t.Fatal(err)
	}
	cleanup(t, peer.Stop)
	b := broker.NewMemoryBroker()
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	cleanup(t, b.Disconnect)
	s := &shop{now: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)}
	s.config = host.Config{
		Modules: []host.Module{pricing.Module()}, Registry: reg, Broker: b, DataURL: url, DataDir: t.TempDir(), Now: s.clock,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})), DrainWait: time.Millisecond,
		Watch: rpc.Watched(t),
	}
	s.start(t)
	cleanup(t, func() error { return s.host.Shutdown(context.Background()) })
	return s
}

func (s *shop) start(t *testing.T) {
	t.Helper()
	var err error
	if s.host, err = host.New(s.config); err != nil {
		t.Fatal(err)
	}
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// It waits for a machine that is busy with other tests.
	if err := s.host.Client().Init(client.RequestTimeout(time.Minute)); err != nil {
		t.Fatal(err)
	}
	s.PricingService = pricingv1.NewPricingService(pricing.Name, s.host.Client())
}

// restart stops the module, and starts it some time later.
func (s *shop) restart(t *testing.T, d time.Duration) {
	t.Helper()
	if err := s.host.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.later(d)
	s.start(t)
}

func cleanup(t *testing.T, stop func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func usd(minor int64) *typev1.Money { return &typev1.Money{Currency: "USD", Minor: minor} }

func want(sku string, n int64) *pricingv1.WantedLine {
	return &pricingv1.WantedLine{Sku: sku, Quantity: n}
}

// ask is a request for a quote in dollars, to be changed as a test wants it.
func ask(lines ...*pricingv1.WantedLine) *pricingv1.CreateQuoteRequest {
	return &pricingv1.CreateQuoteRequest{Lines: lines, Currency: "USD"}
}

func (s *shop) quote(t *testing.T, in *pricingv1.CreateQuoteRequest) *pricingv1.Quote {
	t.Helper()
	q, err := s.CreateQuote(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// coupon adds a coupon that takes 10 % off, so often.
func (s *shop) coupon(t *testing.T, code string, limit int64) {
	t.Helper()
	_, err := s.CreateCoupon(t.Context(), &pricingv1.CreateCouponRequest{Coupon: &pricingv1.Coupon{
		Code: code, Discount: &pricingv1.Coupon_BasisPoints{BasisPoints: 1000}, UsageLimit: limit,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// uses fails unless a coupon was used and reserved so often.
func (s *shop) uses(t *testing.T, code string, used, reserved int64) {
	t.Helper()
	c, err := s.GetCoupon(t.Context(), &pricingv1.GetCouponRequest{Code: code})
	if err != nil || c.GetUsed() != used || c.GetReserved() != reserved {
		t.Errorf("%v, %v; want %d used and %d reserved", c, err, used, reserved)
	}
}

func mustFail(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %s %s", err, code, reason)
	}
}

func second[T any](_ T, err error) error { return err }

// With nothing set up a thing costs what the catalogue says, and no tax: a shop that never heard of pricing goes on as it was.
func TestTheCatalogueIsEnough(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		in := ask(want("MUG", 3), want("SPOON", 2))
		in.Country, in.RequestId = "DE", uuid.NewString()
		q := s.quote(t, in)
		if uuid.Validate(q.GetId()) != nil || !q.GetCreateTime().AsTime().Equal(s.clock()) ||
			!q.GetExpireTime().AsTime().Equal(s.clock().Add(pricing.QuoteTime)) {
			t.Errorf("%v", q)
		}
		expected := &pricingv1.Quote{
			Id: q.GetId(), CreateTime: q.GetCreateTime(), ExpireTime: q.GetExpireTime(), Country: "DE",
			Lines: []*pricingv1.QuoteLine{
				{
					Sku: "MUG", Title: "Thing - Blue", Quantity: 3, UnitPrice: usd(700), Subtotal: usd(2100), Discount: usd(0), Tax: usd(0),
					Total: usd(2100),
				},
				{
					Sku: "SPOON", Title: "Thing - Blue", Quantity: 2, UnitPrice: usd(50), Subtotal: usd(100), Discount: usd(0), Tax: usd(0),
					Total: usd(100),
				},
			},
			Subtotal: usd(2200), Discount: usd(0), Tax: usd(0), Total: usd(2200),
		}
		if !proto.Equal(q, expected) {
			t.Errorf("%v\nwant %v", q, expected)
		}
		s.later(time.Hour) // it has expired, and can still be read and asked for
		if got, err := s.GetQuote(t.Context(), &pricingv1.GetQuoteRequest{QuoteId: q.GetId()}); err != nil || !proto.Equal(got, q) {
			t.Errorf("%v, %v", got, err)
		}
		if got := s.quote(t, in); !proto.Equal(got, q) {
			t.Errorf("asked again: %v", got)
		}
		in.Lines[0].Quantity++
		mustFail(t, second(s.CreateQuote(t.Context(), in)), codes.AlreadyExists, pricing.ReasonRequestIDReused)
	})
}

func TestWhatCantBeQuoted(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		for _, c := range []struct {
			in     *pricingv1.CreateQuoteRequest
			code   codes.Code
			reason string
		}{
			{ask(want("MUG", 1), want("NONE", 1)), codes.NotFound, pricing.ReasonVariantNotFound},
			{ask(want("A\x00B", 1)), codes.NotFound, pricing.ReasonVariantNotFound},
			{ask(want("DRAFT", 1)), codes.FailedPrecondition, pricing.ReasonProductNotForSale},
			{ask(want("EURO", 1)), codes.FailedPrecondition, pricing.ReasonCurrencyMismatch},
			{ask(want("DEAR", 2)), codes.FailedPrecondition, pricing.ReasonTotalTooLarge},
			{ask(want("DEAR", 1), want("SPOON", 1)), codes.FailedPrecondition, pricing.ReasonTotalTooLarge},
			{ask(want("MUG", 1), want("MUG", 1)), codes.InvalidArgument, pricing.ReasonDuplicateSKU},
			{ask(), codes.InvalidArgument, "INVALID_FIELDS"},
			{&pricingv1.CreateQuoteRequest{Lines: []*pricingv1.WantedLine{want("MUG", 1)}}, codes.InvalidArgument, "INVALID_FIELDS"},
			{
				&pricingv1.CreateQuoteRequest{Lines: []*pricingv1.WantedLine{want("MUG", 1)}, Currency: "USD", CouponCode: "NONE"},
				codes.FailedPrecondition, pricing.ReasonCouponNotApplicable,
			},
		} {
			mustFail(t, second(s.CreateQuote(t.Context(), c.in)), c.code, c.reason)
		}
		mustFail(t, second(s.GetQuote(t.Context(), &pricingv1.GetQuoteRequest{QuoteId: uuid.NewString()})), codes.NotFound, pricing.ReasonQuoteNotFound)
	})
}

func TestPricesAreLookedUp(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		_, err := s.CreatePrice(t.Context(), &pricingv1.CreatePriceRequest{Price: &pricingv1.Price{Sku: "EURO", Amount: usd(9)}})
		if err != nil {
			t.Fatal(err)
		}
		look := func(currency string, prices ...*pricingv1.SkuPrice) {
			t.Helper()
			got, err := s.LookUpPrices(t.Context(), &pricingv1.LookUpPricesRequest{
				Currency: currency, Skus: []string{"MUG", "EURO", "DRAFT", "NONE", "MUG", "A\x00B"},
			})
			if err != nil || !proto.Equal(got, &pricingv1.LookUpPricesResponse{Prices: prices}) {
				t.Errorf("in %q: %v, %v\nwant %v", currency, got, err, prices)
			}
		}
		price := func(sku string, status pricingv1.PriceStatus, amount *typev1.Money) *pricingv1.SkuPrice {
			out := &pricingv1.SkuPrice{Sku: sku, Status: status, UnitPrice: amount, Title: "Thing - Blue"}
			if status == pricingv1.PriceStatus_PRICE_STATUS_UNKNOWN_SKU {
				out.Title = ""
			}
			return out
		}
		const (
			yes, draft       = pricingv1.PriceStatus_PRICE_STATUS_FOR_SALE, pricingv1.PriceStatus_PRICE_STATUS_NOT_FOR_SALE
			unknown, no      = pricingv1.PriceStatus_PRICE_STATUS_UNKNOWN_SKU, pricingv1.PriceStatus_PRICE_STATUS_NO_PRICE
			mug, euro, ghost = "MUG", "EURO", "NONE"
			sketch, nonsense = "DRAFT", "A\x00B"
		)
		look("", price(mug, yes, usd(700)), price(euro, yes, &typev1.Money{Currency: "EUR", Minor: 3}), price(sketch, draft, usd(1)),
			price(ghost, unknown, nil), price(mug, yes, usd(700)), price(nonsense, unknown, nil))
		look("USD", price(mug, yes, usd(700)), price(euro, yes, usd(9)), price(sketch, draft, usd(1)),
			price(ghost, unknown, nil), price(mug, yes, usd(700)), price(nonsense, unknown, nil))
		look("JPY", price(mug, no, nil), price(euro, no, nil), price(sketch, draft, nil),
			price(ghost, unknown, nil), price(mug, no, nil), price(nonsense, unknown, nil))
	})
}
