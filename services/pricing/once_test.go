package pricing_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/idempotency"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/pricing"
)

// A command that is sent twice with one key is done once.
func TestOnceForAKey(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		ctx := idempotency.WithKey(t.Context(), uuid.NewString())
		in := &pricingv1.CreatePriceRequest{Price: &pricingv1.Price{Sku: "MUG", Amount: usd(5)}}
		first, err := s.CreatePrice(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.CreatePrice(ctx, in); err != nil || !proto.Equal(again, first) {
			t.Errorf("%v, %v", again, err)
		}
		out := &pricingv1.DeletePriceRequest{PriceId: first.GetId()}
		for range 2 {
			if _, err := s.DeletePrice(ctx, out); err != nil {
				t.Error(err)
			}
		}
		mustFail(t, second(s.DeletePrice(t.Context(), out)), codes.NotFound, pricing.ReasonPriceNotFound)

		q, err := s.CreateQuote(ctx, ask(want("MUG", 1)))
		if err != nil {
			t.Fatal(err)
		}
		s.later(time.Minute)
		if again, err := s.CreateQuote(ctx, ask(want("MUG", 1))); err != nil || !proto.Equal(again, q) {
			t.Errorf("%v, %v", again, err)
		}
		mustFail(t, second(s.CreateQuote(ctx, ask(want("MUG", 2)))), codes.AlreadyExists, pricing.ReasonRequestIDReused)
	})
}

// A quote can be read for a while after it expired, and then it is forgotten; what it has redeemed is not.
func TestOldQuotesAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		s.coupon(t, "TEN", 1)
		in := ask(want("MUG", 1))
		in.CouponCode = "TEN"
		old, id := s.quote(t, in), uuid.NewString()
		redeem := &pricingv1.RedeemCouponRequest{RedemptionId: id, QuoteId: old.GetId()}
		first, err := s.RedeemCoupon(t.Context(), redeem)
		if err != nil {
			t.Fatal(err)
		}
		s.later(pricing.KeepQuotes)
		young := s.quote(t, ask(want("MUG", 1)))
		s.restart(t, pricing.QuoteTime+time.Minute) // it looks when it begins
		var gone error
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(time.Minute); gone == nil; <-tick.C {
			if time.Now().After(end) {
				t.Fatal("an old quote wasn't forgotten")
			}
			_, gone = s.GetQuote(t.Context(), &pricingv1.GetQuoteRequest{QuoteId: old.GetId()})
		}
		mustFail(t, gone, codes.NotFound, pricing.ReasonQuoteNotFound)
		if _, err := s.GetQuote(t.Context(), &pricingv1.GetQuoteRequest{QuoteId: young.GetId()}); err != nil {
			t.Error(err)
		}
		if again, err := s.RedeemCoupon(t.Context(), redeem); err != nil || !proto.Equal(again, first) {
			t.Errorf("%v, %v", again, err)
		}
		s.uses(t, "TEN", 0, 1)
	})
}
