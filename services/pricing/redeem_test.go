package pricing_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/pricing"
)

func TestRedeemCommitRelease(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		s.coupon(t, "ten", 2)
		in := ask(want("MUG", 1))
		in.CouponCode = "Ten"
		q := s.quote(t, in)
		if q.GetCouponCode() != "TEN" || q.GetDiscount().GetMinor() != 70 || q.GetTotal().GetMinor() != 630 {
			t.Fatal(q)
		}
		redeem := func(id string, q *pricingv1.Quote) (*pricingv1.Redemption, error) {
			return s.RedeemCoupon(ctx, &pricingv1.RedeemCouponRequest{RedemptionId: id, QuoteId: q.GetId()})
		}
		one, two, three, early := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
		first, err := redeem(one, q)
		if err != nil || !proto.Equal(first, &pricingv1.Redemption{
			Id: one, State: pricingv1.RedemptionState_REDEMPTION_STATE_RESERVED, QuoteId: q.GetId(), CouponCode: "TEN",
		}) {
			t.Fatal(first, err)
		}
		s.uses(t, "ten", 0, 1)
		if again, err := redeem(one, q); err != nil || !proto.Equal(again, first) {
			t.Errorf("again: %v, %v", again, err)
		}
		mustFail(t, second(redeem(one, s.quote(t, ask(want("MUG", 1))))), codes.AlreadyExists, pricing.ReasonRedemptionDiffers)
		if _, err := redeem(two, q); err != nil {
			t.Fatal(err)
		}
		mustFail(t, second(redeem(three, q)), codes.FailedPrecondition, pricing.ReasonCouponExhausted)
		mustFail(t, second(s.CreateQuote(ctx, in)), codes.FailedPrecondition, pricing.ReasonCouponExhausted)

		for range 2 {
			if r, err := s.CommitRedemption(ctx, &pricingv1.CommitRedemptionRequest{RedemptionId: one}); err != nil ||
				r.GetState() != pricingv1.RedemptionState_REDEMPTION_STATE_COMMITTED {
				t.Errorf("commit: %v, %v", r, err)
			}
			if r, err := s.ReleaseRedemption(ctx, &pricingv1.ReleaseRedemptionRequest{RedemptionId: two}); err != nil ||
				r.GetState() != pricingv1.RedemptionState_REDEMPTION_STATE_RELEASED {
				t.Errorf("release: %v, %v", r, err)
			}
			if r, err := s.ReleaseRedemption(ctx, &pricingv1.ReleaseRedemptionRequest{RedemptionId: early}); err != nil || r.GetQuoteId() != "" {
				t.Errorf("release of nothing: %v, %v", r, err)
			}
		}
		s.uses(t, "ten", 1, 0)
		mustFail(t, second(redeem(two, q)), codes.FailedPrecondition, pricing.ReasonRedemptionReleased)
		mustFail(t, second(redeem(early, q)), codes.FailedPrecondition, pricing.ReasonRedemptionReleased)
		mustFail(t, second(s.CommitRedemption(ctx, &pricingv1.CommitRedemptionRequest{RedemptionId: two})),
			codes.FailedPrecondition, pricing.ReasonRedemptionReleased)
		mustFail(t, second(s.CommitRedemption(ctx, &pricingv1.CommitRedemptionRequest{RedemptionId: three})),
			codes.NotFound, pricing.ReasonRedemptionNotFound)

		// A quote without a coupon redeems, and uses nothing.
		plain := s.quote(t, ask(want("MUG", 1)))
		if r, err := redeem(three, plain); err != nil || r.GetCouponCode() != "" {
			t.Errorf("%v, %v", r, err)
		}
		if _, err := s.CommitRedemption(ctx, &pricingv1.CommitRedemptionRequest{RedemptionId: three}); err != nil {
			t.Error(err)
		}
		s.uses(t, "ten", 1, 0)
		mustFail(t, second(redeem(uuid.NewString(), &pricingv1.Quote{Id: uuid.NewString()})), codes.NotFound, pricing.ReasonQuoteNotFound)

		// An expired quote redeems no more, but what it has redeemed is answered as before.
		s.later(pricing.QuoteTime)
		mustFail(t, second(redeem(uuid.NewString(), plain)), codes.FailedPrecondition, pricing.ReasonQuoteExpired)
		if _, err := redeem(one, q); err != nil {
			t.Error(err)
		}

		// The order is called off: its use is another's, and however often it is released, one is given back.
		for range 2 {
			if r, err := s.ReleaseRedemption(ctx, &pricingv1.ReleaseRedemptionRequest{RedemptionId: one}); err != nil ||
				r.GetState() != pricingv1.RedemptionState_REDEMPTION_STATE_RELEASED || r.GetCouponCode() != "TEN" {
				t.Errorf("release of what is committed: %v, %v", r, err)
			}
			s.uses(t, "ten", 0, 0)
		}
		mustFail(t, second(s.CommitRedemption(ctx, &pricingv1.CommitRedemptionRequest{RedemptionId: one})),
			codes.FailedPrecondition, pricing.ReasonRedemptionReleased)
		mustFail(t, second(redeem(one, q)), codes.FailedPrecondition, pricing.ReasonRedemptionReleased)
		s.uses(t, "ten", 0, 0)
		q = s.quote(t, in)
		for range 2 {
			if _, err := redeem(uuid.NewString(), q); err != nil {
				t.Error(err)
			}
		}
		mustFail(t, second(redeem(uuid.NewString(), q)), codes.FailedPrecondition, pricing.ReasonCouponExhausted)
		s.uses(t, "ten", 0, 2)
	})
}

// A coupon's conditions, and what a quote does when they change under it: nothing.
func TestCouponsApply(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		create := func(c *pricingv1.Coupon) {
			t.Helper()
			if _, err := s.CreateCoupon(ctx, &pricingv1.CreateCouponRequest{Coupon: c}); err != nil {
				t.Fatal(err)
			}
		}
		five := func() *pricingv1.Coupon_Amount { return &pricingv1.Coupon_Amount{Amount: usd(500)} }
		create(&pricingv1.Coupon{Code: "FIVE", Discount: five(), MinimumSubtotal: usd(700)})
		create(&pricingv1.Coupon{Code: "YEN", Discount: five(), MinimumSubtotal: nil})
		create(&pricingv1.Coupon{
			Code: "SOON", Discount: five(), ValidFrom: timestamppb.New(s.clock().Add(time.Minute)), ValidUntil: timestamppb.New(s.clock().Add(2 * time.Minute)),
		})
		quote := func(code string, lines ...*pricingv1.WantedLine) (*pricingv1.Quote, error) {
			in := ask(lines...)
			in.CouponCode = code
			return s.CreateQuote(ctx, in)
		}
		q, err := quote("FIVE", want("MUG", 1))
		if err != nil || q.GetDiscount().GetMinor() != 500 || q.GetTotal().GetMinor() != 200 {
			t.Fatal(q, err)
		}
		mustFail(t, second(quote("FIVE", want("SPOON", 13))), codes.FailedPrecondition, pricing.ReasonCouponNotApplicable)
		euros := &pricingv1.CreateQuoteRequest{Lines: []*pricingv1.WantedLine{want("EURO", 1000)}, Currency: "EUR", CouponCode: "YEN"}
		mustFail(t, second(s.CreateQuote(ctx, euros)), codes.FailedPrecondition, pricing.ReasonCouponNotApplicable)
		mustFail(t, second(quote("SOON", want("MUG", 1))), codes.FailedPrecondition, pricing.ReasonCouponNotApplicable)
		s.later(time.Minute)
		if _, err := quote("SOON", want("MUG", 1)); err != nil {
			t.Error(err)
		}
		s.later(time.Minute)
		mustFail(t, second(quote("SOON", want("MUG", 1))), codes.FailedPrecondition, pricing.ReasonCouponNotApplicable)

		_, err = s.UpdateCoupon(ctx, &pricingv1.UpdateCouponRequest{Coupon: &pricingv1.Coupon{Code: "five", Discount: &pricingv1.Coupon_Amount{Amount: usd(1)}}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.GetQuote(ctx, &pricingv1.GetQuoteRequest{QuoteId: q.GetId()}); err != nil || !proto.Equal(got, q) {
			t.Errorf("%v, %v", got, err)
		}
		if _, err := s.DeleteCoupon(ctx, &pricingv1.DeleteCouponRequest{Code: "five"}); err != nil {
			t.Fatal(err)
		}
		_, err = s.RedeemCoupon(ctx, &pricingv1.RedeemCouponRequest{RedemptionId: uuid.NewString(), QuoteId: q.GetId()})
		mustFail(t, err, codes.FailedPrecondition, pricing.ReasonCouponNotApplicable)
	})
}

// Many orders want the last uses at once: exactly so many get one.
func TestTheLastUsesAreTakenOnce(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		const limit, orders = 10, 50
		s.coupon(t, "RUSH", limit)
		in := ask(want("MUG", 1))
		in.CouponCode = "RUSH"
		q := s.quote(t, in)
		var mu sync.Mutex
		var won []string
		var wg sync.WaitGroup
		for range orders {
			wg.Go(func() {
				id := uuid.NewString()
				_, err := s.RedeemCoupon(context.Background(), &pricingv1.RedeemCouponRequest{RedemptionId: id, QuoteId: q.GetId()})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, id)
				} else if problem.From(err).Reason != pricing.ReasonCouponExhausted {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != limit {
			t.Errorf("%d of %d uses were given", len(won), limit)
		}
		s.uses(t, "RUSH", 0, limit)
		for i, id := range won {
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = s.CommitRedemption(context.Background(), &pricingv1.CommitRedemptionRequest{RedemptionId: id})
				} else {
					_, err = s.ReleaseRedemption(context.Background(), &pricingv1.ReleaseRedemptionRequest{RedemptionId: id})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s.uses(t, "RUSH", limit/2, 0)
	})
}

// used + reserved <= limit, and both are what a simple count says, whatever is called in whatever order.
func TestTheLawOfTheCouponsHolds(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		rapid.Check(t, func(t *rapid.T) {
			code := "C" + uuid.NewString()
			limit := rapid.Int64Range(1, 3).Draw(t, "limit")
			_, err := s.CreateCoupon(ctx, &pricingv1.CreateCouponRequest{Coupon: &pricingv1.Coupon{
				Code: code, Discount: &pricingv1.Coupon_BasisPoints{BasisPoints: 1000}, UsageLimit: limit,
			}})
			if err != nil {
				t.Fatal(err)
			}
			in := ask(want("MUG", 1))
			in.CouponCode = code
			q, err := s.CreateQuote(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			ids := []string{uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()}
			state := map[string]string{}
			count := func(want string) (n int64) {
				for _, got := range state {
					if got == want {
						n++
					}
				}
				return n
			}
			step := func(t *rapid.T, to string, ok bool, err error, id string) {
				if p := problem.From(err); p != nil && p.Reason == "INTERNAL" {
					t.Fatalf("%s: %v", to, err)
				}
				if ok != (err == nil) {
					t.Fatalf("%s: the module says %v, the count %v", to, err, ok)
				}
				if ok && (state[id] != "committed" || to == "released") {
					state[id] = to
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"redeem": func(t *rapid.T) {
					id := rapid.SampledFrom(ids).Draw(t, "id")
					ok := state[id] == "reserved" || state[id] == "committed" || state[id] == "" && count("reserved")+count("committed") < limit
					_, err := s.RedeemCoupon(ctx, &pricingv1.RedeemCouponRequest{RedemptionId: id, QuoteId: q.GetId()})
					step(t, "reserved", ok, err, id)
				},
				"commit": func(t *rapid.T) {
					id := rapid.SampledFrom(ids).Draw(t, "id")
					_, err := s.CommitRedemption(ctx, &pricingv1.CommitRedemptionRequest{RedemptionId: id})
					step(t, "committed", state[id] == "reserved" || state[id] == "committed", err, id)
				},
				"release": func(t *rapid.T) {
					id := rapid.SampledFrom(ids).Draw(t, "id")
					_, err := s.ReleaseRedemption(ctx, &pricingv1.ReleaseRedemptionRequest{RedemptionId: id})
					step(t, "released", true, err, id)
				},
				"limit": func(t *rapid.T) {
					n := rapid.Int64Range(1, 4).Draw(t, "n")
					ok := count("reserved")+count("committed") <= n
					_, err := s.UpdateCoupon(ctx, &pricingv1.UpdateCouponRequest{Coupon: &pricingv1.Coupon{Code: code, UsageLimit: n}})
					if ok != (err == nil) || !ok && problem.From(err).Reason != pricing.ReasonLimitBelowUsed {
						t.Fatalf("limit %d: %v", n, err)
					}
					if ok {
						limit = n
					}
				},
				"": func(t *rapid.T) {
					c, err := s.GetCoupon(ctx, &pricingv1.GetCouponRequest{Code: code})
					if err != nil || c.GetUsed() != count("committed") || c.GetReserved() != count("reserved") || c.GetUsageLimit() != limit {
						t.Fatalf("%v, %v; the count is %v", c, err, state)
					}
				},
			})
		})
	})
}
