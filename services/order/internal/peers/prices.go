package peers

import (
	"context"
	"fmt"

	"github.com/cleavehq/cleave/chassis/problem"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Prices is checkout.Prices and saga.Coupons over the pricing module's contract.
type Prices struct{ client pricingv1.PricingService }

var (
	_ checkout.Prices = (*Prices)(nil)
	_ saga.Coupons    = (*Prices)(nil)
)

// NewPrices returns Prices that call client.
func NewPrices(client pricingv1.PricingService) *Prices { return &Prices{client: client} }

// Quote implements checkout.Prices.
func (p *Prices) Quote(ctx context.Context, w checkout.Wanted) (checkout.Quote, error) {
	in := &pricingv1.CreateQuoteRequest{Currency: w.Currency, Country: w.Country, CouponCode: w.Coupon, RequestId: w.ID}
	for _, l := range w.Lines {
		in.Lines = append(in.Lines, &pricingv1.WantedLine{Sku: l.SKU, Quantity: l.Quantity})
	}
	r, err := p.client.CreateQuote(ctx, in)
	if err != nil {
		return checkout.Quote{}, fmt.Errorf("create quote: %w", err)
	}
	q := checkout.Quote{
		ID: r.GetId(), Coupon: r.GetCouponCode(),
		Subtotal: money(r.GetSubtotal()), Discount: money(r.GetDiscount()), Tax: money(r.GetTax()), Total: money(r.GetTotal()),
	}
	for _, l := range r.GetLines() {
		q.Lines = append(q.Lines, sale.Line{
			SKU: l.GetSku(), Title: l.GetTitle(), Quantity: l.GetQuantity(), Unit: money(l.GetUnitPrice()),
			Discount: money(l.GetDiscount()), Tax: money(l.GetTax()), Total: money(l.GetTotal()),
		})
	}
	return q, nil
}

// Redeem implements saga.Coupons. The order's id is the redemption's.
func (p *Prices) Redeem(ctx context.Context, orderID, quoteID string) error {
	r, err := p.client.RedeemCoupon(ctx, &pricingv1.RedeemCouponRequest{RedemptionId: orderID, QuoteId: quoteID})
	return redeemed("redeem coupon", r, err, pricingv1.RedemptionState_REDEMPTION_STATE_RESERVED)
}

// CommitUse implements saga.Coupons.
func (p *Prices) CommitUse(ctx context.Context, orderID string) error {
	r, err := p.client.CommitRedemption(ctx, &pricingv1.CommitRedemptionRequest{RedemptionId: orderID})
	return redeemed("commit coupon", r, err, pricingv1.RedemptionState_REDEMPTION_STATE_COMMITTED)
}

// ReleaseUse implements saga.Coupons.
func (p *Prices) ReleaseUse(ctx context.Context, orderID string) error {
	r, err := p.client.ReleaseRedemption(ctx, &pricingv1.ReleaseRedemptionRequest{RedemptionId: orderID})
	return redeemed("release coupon", r, err, pricingv1.RedemptionState_REDEMPTION_STATE_RELEASED)
}

func redeemed(verb string, r *pricingv1.Redemption, err error, want pricingv1.RedemptionState) error {
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if r.GetState() != want {
		return problem.Internal(fmt.Errorf("%s: the redemption is %s", verb, r.GetState()))
	}
	return nil
}
