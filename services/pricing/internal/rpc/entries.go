package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cleavehq/cleave/chassis/problem"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// CreatePrice implements pricingv1.PricingHandler.
func (h *Handler) CreatePrice(ctx context.Context, in *pricingv1.CreatePriceRequest, out *pricingv1.Price) error {
	e, err := h.c.Entries.Create(ctx, fromEntry(in.GetPrice()))
	return fill(out, e, err, entryMessage)
}

// GetPrice implements pricingv1.PricingHandler.
func (h *Handler) GetPrice(ctx context.Context, in *pricingv1.GetPriceRequest, out *pricingv1.Price) error {
	e, err := h.c.Entries.Get(ctx, id(in.GetPriceId()))
	return fill(out, e, err, entryMessage)
}

// ListPrices implements pricingv1.PricingHandler.
func (h *Handler) ListPrices(ctx context.Context, in *pricingv1.ListPricesRequest, out *pricingv1.ListPricesResponse) error {
	list, next, err := h.c.Entries.List(ctx, in.GetSku(), int(in.GetPageSize()), in.GetPageToken())
	for _, e := range list {
		out.Prices = append(out.Prices, entryMessage(e))
	}
	out.NextPageToken = next
	return err
}

// UpdatePrice implements pricingv1.PricingHandler.
func (h *Handler) UpdatePrice(ctx context.Context, in *pricingv1.UpdatePriceRequest, out *pricingv1.Price) error {
	key := id(in.GetPrice().GetId())
	if uuid.Validate(key) != nil {
		return problem.Invalid(problem.Field{Path: "price.id", Message: "must be the id of the price"})
	}
	paths, err := maskOf(in.GetUpdateMask(), in.GetPrice(), []string{"amount", "valid_from", "valid_until"})
	if err != nil {
		return err
	}
	e, err := h.c.Entries.Update(ctx, key, in.GetPrice().GetEtag(), func(e *price.Entry) error {
		m := entryMessage(*e)
		apply(m, in.GetPrice(), paths)
		if err := valid(h.c.Validator, "price", m); err != nil {
			return err
		}
		next := fromEntry(m)
		e.Amount, e.Valid = next.Amount, next.Valid
		return nil
	})
	return fill(out, e, err, entryMessage)
}

// DeletePrice implements pricingv1.PricingHandler.
func (h *Handler) DeletePrice(ctx context.Context, in *pricingv1.DeletePriceRequest, _ *emptypb.Empty) error {
	return h.c.Entries.Delete(ctx, id(in.GetPriceId()))
}
