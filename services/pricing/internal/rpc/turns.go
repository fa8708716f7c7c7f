package rpc

import (
	"context"

	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/turn"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
)

// InTurn lets redemptions of one coupon wait for each other before they begin. It goes outside of whatever begins a transaction.
func (h *Handler) InTurn(turns *turn.Turns) server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) error {
			code, err := h.coupon(ctx, req.Body())
			if err != nil {
				return err
			}
			if code == "" {
				return next(ctx, req, rsp)
			}
			done, err := turns.Take(ctx, code)
			if err != nil {
				return err
			}
			defer done()
			return next(ctx, req, rsp)
		}
	}
}

// coupon is the one that a command redeems, or "".
func (h *Handler) coupon(ctx context.Context, body any) (string, error) {
	switch in := body.(type) {
	case *pricingv1.RedeemCouponRequest:
		return h.c.Service.CouponOfQuote(ctx, id(in.GetQuoteId()))
	case *pricingv1.CommitRedemptionRequest:
		return h.c.Service.CouponOfRedemption(ctx, id(in.GetRedemptionId()))
	case *pricingv1.ReleaseRedemptionRequest:
		return h.c.Service.CouponOfRedemption(ctx, id(in.GetRedemptionId()))
	default:
		return "", nil
	}
}
