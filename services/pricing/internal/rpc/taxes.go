package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// CreateTaxRate implements pricingv1.PricingHandler.
func (h *Handler) CreateTaxRate(ctx context.Context, in *pricingv1.CreateTaxRateRequest, out *pricingv1.TaxRate) error {
	r, err := h.c.TaxRates.Create(ctx, fromTax(in.GetTaxRate()))
	return fill(out, r, err, taxMessage)
}

// GetTaxRate implements pricingv1.PricingHandler.
func (h *Handler) GetTaxRate(ctx context.Context, in *pricingv1.GetTaxRateRequest, out *pricingv1.TaxRate) error {
	r, err := h.c.TaxRates.Get(ctx, in.GetCountry())
	return fill(out, r, err, taxMessage)
}

// ListTaxRates implements pricingv1.PricingHandler.
func (h *Handler) ListTaxRates(ctx context.Context, in *pricingv1.ListTaxRatesRequest, out *pricingv1.ListTaxRatesResponse) error {
	list, next, err := h.c.TaxRates.List(ctx, "", int(in.GetPageSize()), in.GetPageToken())
	for _, r := range list {
		out.TaxRates = append(out.TaxRates, taxMessage(r))
	}
	out.NextPageToken = next
	return err
}

// UpdateTaxRate implements pricingv1.PricingHandler.
func (h *Handler) UpdateTaxRate(ctx context.Context, in *pricingv1.UpdateTaxRateRequest, out *pricingv1.TaxRate) error {
	key := in.GetTaxRate().GetCountry()
	if err := valid(h.c.Validator, "", &pricingv1.GetTaxRateRequest{Country: key}); err != nil {
		return noKey("tax_rate.country")
	}
	paths, err := maskOf(in.GetUpdateMask(), in.GetTaxRate(), []string{"basis_points", "inclusive"})
	if err != nil {
		return err
	}
	r, err := h.c.TaxRates.Update(ctx, key, in.GetTaxRate().GetEtag(), func(r *price.TaxRate) error {
		m := taxMessage(*r)
		apply(m, in.GetTaxRate(), paths)
		if err := valid(h.c.Validator, "tax_rate", m); err != nil {
			return err
		}
		next := fromTax(m)
		r.BasisPoints, r.Inclusive = next.BasisPoints, next.Inclusive
		return nil
	})
	return fill(out, r, err, taxMessage)
}

// DeleteTaxRate implements pricingv1.PricingHandler.
func (h *Handler) DeleteTaxRate(ctx context.Context, in *pricingv1.DeleteTaxRateRequest, _ *emptypb.Empty) error {
	return h.c.TaxRates.Delete(ctx, in.GetCountry())
}
