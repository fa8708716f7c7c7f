// Package rpc speaks shop.pricing.v1 for the business of pricing: it turns messages into calls and things into messages, and decides
// nothing.
package rpc

import (
	"context"
	"errors"
	"strings"

	"buf.build/go/protovalidate"

	"github.com/cleavehq/cleave/chassis/idempotency"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// Config is what a Handler needs; all of it.
type Config struct {
	Service  *price.Service
	Entries  *price.Admin[price.Entry]
	TaxRates *price.Admin[price.TaxRate]
	Coupons  *price.Admin[price.Coupon]
	// Validator applies the contract's rules to what a partial update leads to. The server has applied them to everything else.
	Validator protovalidate.Validator
}

// Handler is pricingv1.PricingHandler.
type Handler struct{ c Config }

var _ pricingv1.PricingHandler = (*Handler)(nil)

// New makes a Handler. It fails when something is missing in c.
func New(c Config) (*Handler, error) {
	if c.Service == nil || c.Entries == nil || c.TaxRates == nil || c.Coupons == nil || c.Validator == nil {
		return nil, errors.New("pricing: the handler needs the service, the three administrations and a validator")
	}
	return &Handler{c}, nil
}

// CreateQuote implements pricingv1.PricingHandler. Without a request id the call's Idempotency-Key is one.
func (h *Handler) CreateQuote(ctx context.Context, in *pricingv1.CreateQuoteRequest, out *pricingv1.Quote) error {
	request := id(in.GetRequestId())
	if request == "" {
		key, err := idempotency.Key(ctx)
		if err != nil {
			return err
		}
		request = key
	}
	lines := make([]price.Wanted, len(in.GetLines()))
	for i, l := range in.GetLines() {
		lines[i] = price.Wanted{SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	q, err := h.c.Service.Quote(ctx, price.Ask{
		Lines: lines, Currency: in.GetCurrency(), Country: in.GetCountry(), Coupon: in.GetCouponCode(), RequestID: request,
	})
	return fill(out, q, err, quote)
}

// GetQuote implements pricingv1.PricingHandler.
func (h *Handler) GetQuote(ctx context.Context, in *pricingv1.GetQuoteRequest, out *pricingv1.Quote) error {
	q, err := h.c.Service.GetQuote(ctx, id(in.GetQuoteId()))
	return fill(out, q, err, quote)
}

// LookUpPrices implements pricingv1.PricingHandler.
func (h *Handler) LookUpPrices(ctx context.Context, in *pricingv1.LookUpPricesRequest, out *pricingv1.LookUpPricesResponse) error {
	found, err := h.c.Service.LookUp(ctx, in.GetSkus(), in.GetCurrency())
	if err != nil {
		return err
	}
	out.Prices = make([]*pricingv1.SkuPrice, len(found))
	for i, p := range found {
		out.Prices[i] = skuPrice(p)
	}
	return nil
}

// RedeemCoupon implements pricingv1.PricingHandler.
func (h *Handler) RedeemCoupon(ctx context.Context, in *pricingv1.RedeemCouponRequest, out *pricingv1.Redemption) error {
	r, err := h.c.Service.Redeem(ctx, id(in.GetRedemptionId()), id(in.GetQuoteId()))
	return fill(out, r, err, redemption)
}

// CommitRedemption implements pricingv1.PricingHandler.
func (h *Handler) CommitRedemption(ctx context.Context, in *pricingv1.CommitRedemptionRequest, out *pricingv1.Redemption) error {
	r, err := h.c.Service.Commit(ctx, id(in.GetRedemptionId()))
	return fill(out, r, err, redemption)
}

// ReleaseRedemption implements pricingv1.PricingHandler.
func (h *Handler) ReleaseRedemption(ctx context.Context, in *pricingv1.ReleaseRedemptionRequest, out *pricingv1.Redemption) error {
	r, err := h.c.Service.Release(ctx, id(in.GetRedemptionId()))
	return fill(out, r, err, redemption)
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }
