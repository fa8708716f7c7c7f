package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// CreateCoupon implements pricingv1.PricingHandler.
func (h *Handler) CreateCoupon(ctx context.Context, in *pricingv1.CreateCouponRequest, out *pricingv1.Coupon) error {
	c, err := h.c.Coupons.Create(ctx, fromCoupon(in.GetCoupon()))
	return fill(out, c, err, couponMessage)
}

// GetCoupon implements pricingv1.PricingHandler.
func (h *Handler) GetCoupon(ctx context.Context, in *pricingv1.GetCouponRequest, out *pricingv1.Coupon) error {
	c, err := h.c.Coupons.Get(ctx, price.Code(in.GetCode()))
	return fill(out, c, err, couponMessage)
}

// ListCoupons implements pricingv1.PricingHandler.
func (h *Handler) ListCoupons(ctx context.Context, in *pricingv1.ListCouponsRequest, out *pricingv1.ListCouponsResponse) error {
	list, next, err := h.c.Coupons.List(ctx, "", int(in.GetPageSize()), in.GetPageToken())
	for _, c := range list {
		out.Coupons = append(out.Coupons, couponMessage(c))
	}
	out.NextPageToken = next
	return err
}

// UpdateCoupon implements pricingv1.PricingHandler.
func (h *Handler) UpdateCoupon(ctx context.Context, in *pricingv1.UpdateCouponRequest, out *pricingv1.Coupon) error {
	key := in.GetCoupon().GetCode()
	if err := valid(h.c.Validator, "", &pricingv1.GetCouponRequest{Code: key}); err != nil {
		return noKey("coupon.code")
	}
	paths, err := maskOf(in.GetUpdateMask(), in.GetCoupon(),
		[]string{"basis_points", "amount", "valid_from", "valid_until", "minimum_subtotal", "usage_limit"})
	if err != nil {
		return err
	}
	c, err := h.c.Coupons.Update(ctx, price.Code(key), in.GetCoupon().GetEtag(), func(c *price.Coupon) error {
		m := couponMessage(*c)
		apply(m, in.GetCoupon(), paths)
		if err := valid(h.c.Validator, "coupon", m); err != nil {
			return err
		}
		next := fromCoupon(m)
		c.Off, c.Minimum, c.Valid, c.Limit = next.Off, next.Minimum, next.Valid, next.Limit
		return nil
	})
	return fill(out, c, err, couponMessage)
}

// DeleteCoupon implements pricingv1.PricingHandler.
func (h *Handler) DeleteCoupon(ctx context.Context, in *pricingv1.DeleteCouponRequest, _ *emptypb.Empty) error {
	return h.c.Coupons.Delete(ctx, price.Code(in.GetCode()))
}
