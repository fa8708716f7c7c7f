// Package prices asks pricing what a SKU is called and costs, and what a cart costs in all.
package prices

import (
	"context"
	"fmt"

	"github.com/cleavehq/cleave/chassis/problem"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
)

// Pricing is basket.Prices over the contract of pricing. It also makes the quotes that the handler gives on.
type Pricing struct{ client pricingv1.PricingService }

var _ basket.Prices = (*Pricing)(nil)

// New returns a Pricing that calls client.
func New(client pricingv1.PricingService) *Pricing { return &Pricing{client: client} }

// LookUp implements basket.Prices. It asks nobody for what was asked [Pricing.Ahead].
func (p *Pricing) LookUp(ctx context.Context, skus []string, currency string) ([]basket.Variant, error) {
	if found, ok, err := fromAhead(ctx, skus, currency); ok {
		return found, err
	}
	return p.lookUp(ctx, skus, currency)
}

func (p *Pricing) lookUp(ctx context.Context, skus []string, currency string) ([]basket.Variant, error) {
	r, err := p.client.LookUpPrices(ctx, &pricingv1.LookUpPricesRequest{Skus: skus, Currency: currency})
	if err != nil {
		return nil, fmt.Errorf("ask for prices: %w", err)
	}
	if len(r.GetPrices()) != len(skus) {
		return nil, problem.Internal(fmt.Errorf("pricing gave %d prices for %d SKUs", len(r.GetPrices()), len(skus)))
	}
	out := make([]basket.Variant, len(skus))
	for i, m := range r.GetPrices() {
		// The SKU that was asked for, so that a line is found again under the name it was added by.
		v := basket.Variant{
			SKU: skus[i], Title: m.GetTitle(), Status: basket.Status(m.GetStatus()),
			Price: basket.Money{Currency: m.GetUnitPrice().GetCurrency(), Minor: m.GetUnitPrice().GetMinor()},
		}
		if v.Status == basket.ForSale && (v.Price.Currency == "" || v.Price.Minor < 0) {
			return nil, problem.Internal(fmt.Errorf("pricing gave %q no price", skus[i]))
		}
		out[i] = v
	}
	return out, nil
}

// Check implements basket.Prices.
func (p *Pricing) Check(ctx context.Context, c basket.Cart) error {
	_, err := p.Quote(ctx, c, "")
	return err
}

// Quote prices a cart with items, its coupon, and the tax of a country, which may be empty.
func (p *Pricing) Quote(ctx context.Context, c basket.Cart, country string) (*pricingv1.Quote, error) {
	in := &pricingv1.CreateQuoteRequest{Currency: c.Items[0].Unit.Currency, Country: country, CouponCode: c.Coupon}
	for _, it := range c.Items {
		in.Lines = append(in.Lines, &pricingv1.WantedLine{Sku: it.SKU, Quantity: it.Quantity})
	}
	q, err := p.client.CreateQuote(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("ask for a quote: %w", err)
	}
	return q, nil
}
