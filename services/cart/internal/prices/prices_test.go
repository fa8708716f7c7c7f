package prices_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"go-micro.dev/v4/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
	"github.com/cleavehq/cleave/services/cart/internal/prices"
)

// wire answers every call with one message or error, and keeps what was asked. Pricing's generated client runs over it.
type wire struct {
	client.Client
	asked  proto.Message
	to     string
	answer proto.Message
	err    error
}

func (w *wire) Call(_ context.Context, req client.Request, rsp any, _ ...client.CallOption) error {
	w.to = req.Service() + " " + req.Endpoint()
	w.asked = req.Body().(proto.Message) // generated code sends and receives messages
	if w.err == nil {
		proto.Merge(rsp.(proto.Message), w.answer)
	}
	return w.err
}

func TestLookUp(t *testing.T) {
	ctx, w := t.Context(), &wire{Client: client.NewClient()}
	p := prices.New(pricingv1.NewPricingService("pricing", w))
	answer := func(prices ...*pricingv1.SkuPrice) { w.answer = &pricingv1.LookUpPricesResponse{Prices: prices} }
	usd := &typev1.Money{Currency: "USD", Minor: 700}
	answer(
		&pricingv1.SkuPrice{Sku: "mug", Status: pricingv1.PriceStatus_PRICE_STATUS_FOR_SALE, Title: "Mug", UnitPrice: usd},
		&pricingv1.SkuPrice{Sku: "DRAFT", Status: pricingv1.PriceStatus_PRICE_STATUS_NOT_FOR_SALE, Title: "Sketch", UnitPrice: usd},
		&pricingv1.SkuPrice{Sku: "NONE", Status: pricingv1.PriceStatus_PRICE_STATUS_UNKNOWN_SKU},
		&pricingv1.SkuPrice{Sku: "EURO", Status: pricingv1.PriceStatus_PRICE_STATUS_NO_PRICE, Title: "Coin"},
	)
	money := basket.Money{Currency: "USD", Minor: 700}
	want := []basket.Variant{
		{SKU: "MUG", Title: "Mug", Status: basket.ForSale, Price: money}, {SKU: "DRAFT", Title: "Sketch", Status: basket.NotForSale, Price: money},
		{SKU: "NONE", Status: basket.UnknownSKU}, {SKU: "EURO", Title: "Coin", Status: basket.NoPrice},
	}
	skus := []string{"MUG", "DRAFT", "NONE", "EURO"}
	got, err := p.LookUp(ctx, skus, "USD")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if w.to != "pricing Pricing.LookUpPrices" || !proto.Equal(w.asked, &pricingv1.LookUpPricesRequest{Skus: skus, Currency: "USD"}) {
		t.Errorf("asked %s %v", w.to, w.asked)
	}
	for name, price := range map[string]*typev1.Money{"no price": nil, "no currency": {Minor: 1}, "a negative price": {Currency: "USD", Minor: -1}} {
		answer(&pricingv1.SkuPrice{Sku: "MUG", Status: pricingv1.PriceStatus_PRICE_STATUS_FOR_SALE, UnitPrice: price})
		if got, err := p.LookUp(ctx, []string{"MUG"}, ""); problem.From(err) == nil || problem.From(err).Code != codes.Internal {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	answer()
	if _, err := p.LookUp(ctx, []string{"MUG"}, ""); err == nil || problem.From(err).Code != codes.Internal {
		t.Errorf("an answer that says nothing: %v", err)
	}
	w.err = problem.Unavailable("UNREACHABLE", "no")
	if _, err := p.LookUp(ctx, skus, ""); !errors.Is(err, w.err) || problem.From(err).Reason != "UNREACHABLE" {
		t.Errorf("%v", err)
	}
}

func TestQuote(t *testing.T) {
	ctx, w := t.Context(), &wire{Client: client.NewClient(), answer: &pricingv1.Quote{Id: "q"}}
	p := prices.New(pricingv1.NewPricingService("pricing", w))
	cart := basket.Cart{Coupon: "TEN", Items: []basket.Item{
		{SKU: "MUG", Quantity: 2, Unit: basket.Money{Currency: "EUR", Minor: 1}}, {SKU: "PEN", Quantity: 3, Unit: basket.Money{Currency: "EUR", Minor: 2}},
	}}
	want := &pricingv1.CreateQuoteRequest{
		Lines: []*pricingv1.WantedLine{{Sku: "MUG", Quantity: 2}, {Sku: "PEN", Quantity: 3}}, Currency: "EUR", CouponCode: "TEN",
	}
	if err := p.Check(ctx, cart); err != nil || w.to != "pricing Pricing.CreateQuote" || !proto.Equal(w.asked, want) {
		t.Errorf("asked %s %v, %v", w.to, w.asked, err)
	}
	want.Country = "DE"
	if q, err := p.Quote(ctx, cart, "DE"); err != nil || q.GetId() != "q" || !proto.Equal(w.asked, want) {
		t.Errorf("asked %v, got %v, %v", w.asked, q, err)
	}
	w.err = problem.FailedPrecondition("COUPON_EXHAUSTED", "no")
	if err := p.Check(ctx, cart); problem.From(err).Reason != "COUPON_EXHAUSTED" {
		t.Errorf("%v", err)
	}
}
