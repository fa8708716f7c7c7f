package pricing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/pricing"
)

// A sale lies over the everyday price, which lies over the catalogue's; each begins and ends by itself, and may be changed and deleted.
func TestThePriceList(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		costs := func(minor int64) {
			t.Helper()
			if q := s.quote(t, ask(want("MUG", 1))); q.GetTotal().GetMinor() != minor {
				t.Errorf("a mug costs %v, want %d", q.GetTotal(), minor)
			}
		}
		create := func(p *pricingv1.Price) *pricingv1.Price {
			t.Helper()
			got, err := s.CreatePrice(ctx, &pricingv1.CreatePriceRequest{Price: p})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		start := s.clock()
		at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(start.Add(d)) }
		costs(700)
		everyday := create(&pricingv1.Price{Sku: "MUG", Amount: usd(650), Id: "mine", Etag: "r9"})
		if uuid.Validate(everyday.GetId()) != nil || everyday.GetEtag() != "r1" || !proto.Equal(everyday.GetCreateTime(), at(0)) {
			t.Errorf("%v", everyday)
		}
		costs(650)
		sale := create(&pricingv1.Price{Sku: "MUG", Amount: usd(400), ValidFrom: at(time.Hour), ValidUntil: at(2 * time.Hour)})
		create(&pricingv1.Price{Sku: "MUG", Amount: &typev1.Money{Currency: "EUR", Minor: 1}})
		costs(650)
		s.later(time.Hour)
		costs(400)
		s.later(time.Hour)
		costs(650)

		_, err := s.CreatePrice(ctx, &pricingv1.CreatePriceRequest{Price: &pricingv1.Price{Sku: "MUG", Amount: usd(1)}})
		mustFail(t, err, codes.AlreadyExists, pricing.ReasonPriceTaken)
		_, err = s.CreatePrice(ctx, &pricingv1.CreatePriceRequest{Price: &pricingv1.Price{Sku: "MUG", Amount: usd(1), ValidFrom: at(1), ValidUntil: at(1)}})
		mustFail(t, err, codes.InvalidArgument, pricing.ReasonWindowEmpty)

		change := &pricingv1.UpdatePriceRequest{
			Price:      &pricingv1.Price{Id: strings.ToUpper(everyday.GetId()), Amount: usd(600), Etag: "r1", Sku: "not looked at"},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"amount"}},
		}
		s.later(time.Second)
		changed, err := s.UpdatePrice(ctx, change)
		if err != nil || changed.GetEtag() != "r2" || changed.GetSku() != "MUG" || !proto.Equal(changed.GetUpdateTime(), timestamppb.New(s.clock())) {
			t.Errorf("%v, %v", changed, err)
		}
		costs(600)
		mustFail(t, second(s.UpdatePrice(ctx, change)), codes.Aborted, pricing.ReasonEtagMismatch)
		change.Price.Etag = ""
		if again, err := s.UpdatePrice(ctx, change); err != nil || !proto.Equal(again, changed) {
			t.Errorf("what changes nothing changed %v, %v", again, err)
		}
		change.UpdateMask.Paths = []string{"sku"}
		mustFail(t, second(s.UpdatePrice(ctx, change)), codes.InvalidArgument, "INVALID_FIELDS")
		change.UpdateMask.Paths, change.Price.Amount = []string{"*"}, usd(-1)
		mustFail(t, second(s.UpdatePrice(ctx, change)), codes.InvalidArgument, "INVALID_FIELDS")
		change.Price.Id = ""
		mustFail(t, second(s.UpdatePrice(ctx, change)), codes.InvalidArgument, "INVALID_FIELDS")
		// Moved to where another begins.
		_, err = s.UpdatePrice(ctx, &pricingv1.UpdatePriceRequest{Price: &pricingv1.Price{Id: sale.GetId()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"valid_from"}}})
		mustFail(t, err, codes.AlreadyExists, pricing.ReasonPriceTaken)

		if _, err := s.DeletePrice(ctx, &pricingv1.DeletePriceRequest{PriceId: everyday.GetId()}); err != nil {
			t.Error(err)
		}
		costs(700)
		mustFail(t, second(s.DeletePrice(ctx, &pricingv1.DeletePriceRequest{PriceId: everyday.GetId()})), codes.NotFound, pricing.ReasonPriceNotFound)
		mustFail(t, second(s.GetPrice(ctx, &pricingv1.GetPriceRequest{PriceId: everyday.GetId()})), codes.NotFound, pricing.ReasonPriceNotFound)
		if got, err := s.GetPrice(ctx, &pricingv1.GetPriceRequest{PriceId: sale.GetId()}); err != nil || !proto.Equal(got, sale) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestTaxes(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		costs := func(country string, tax, total int64) {
			t.Helper()
			in := ask(want("MUG", 1), want("SPOON", 1))
			in.Country = country
			if q := s.quote(t, in); q.GetTax().GetMinor() != tax || q.GetTotal().GetMinor() != total || q.GetCountry() != country {
				t.Errorf("in %q: %v", country, q)
			}
		}
		create := func(r *pricingv1.TaxRate) error {
			return second(s.CreateTaxRate(ctx, &pricingv1.CreateTaxRateRequest{TaxRate: r}))
		}
		for _, r := range []*pricingv1.TaxRate{{Country: "DE", BasisPoints: 1900, Inclusive: true}, {Country: "US", BasisPoints: 1000}} {
			if err := create(r); err != nil {
				t.Fatal(err)
			}
		}
		costs("", 0, 750)
		costs("FR", 0, 750)
		costs("US", 75, 825)
		costs("DE", 120, 750) // 111.76 and 7.98
		mustFail(t, create(&pricingv1.TaxRate{Country: "DE"}), codes.AlreadyExists, pricing.ReasonTaxRateTaken)
		mustFail(t, create(&pricingv1.TaxRate{Country: "XX", BasisPoints: 10001}), codes.InvalidArgument, "INVALID_FIELDS")
		got, err := s.UpdateTaxRate(ctx, &pricingv1.UpdateTaxRateRequest{
			TaxRate: &pricingv1.TaxRate{Country: "DE"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"inclusive"}},
		})
		if err != nil || got.GetInclusive() || got.GetBasisPoints() != 1900 {
			t.Errorf("%v, %v", got, err)
		}
		costs("DE", 133+10, 750+133+10)
		mustFail(t, second(s.UpdateTaxRate(ctx, &pricingv1.UpdateTaxRateRequest{TaxRate: &pricingv1.TaxRate{Country: "FR"}})),
			codes.NotFound, pricing.ReasonTaxRateNotFound)
		mustFail(t, second(s.UpdateTaxRate(ctx, &pricingv1.UpdateTaxRateRequest{})), codes.InvalidArgument, "INVALID_FIELDS")
		if _, err := s.DeleteTaxRate(ctx, &pricingv1.DeleteTaxRateRequest{Country: "DE"}); err != nil {
			t.Error(err)
		}
		costs("DE", 0, 750)
		mustFail(t, second(s.GetTaxRate(ctx, &pricingv1.GetTaxRateRequest{Country: "DE"})), codes.NotFound, pricing.ReasonTaxRateNotFound)
		list, err := s.ListTaxRates(ctx, &pricingv1.ListTaxRatesRequest{})
		if err != nil || len(list.GetTaxRates()) != 1 || list.GetTaxRates()[0].GetCountry() != "US" {
			t.Errorf("%v, %v", list, err)
		}
	})
}

func TestCouponsAreKept(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		create := func(c *pricingv1.Coupon) (*pricingv1.Coupon, error) {
			return s.CreateCoupon(ctx, &pricingv1.CreateCouponRequest{Coupon: c})
		}
		percent := &pricingv1.Coupon_BasisPoints{BasisPoints: 1000}
		c, err := create(&pricingv1.Coupon{Code: "spring-26", Discount: percent, UsageLimit: 5, Used: 3, Reserved: 4})
		if err != nil || c.GetCode() != "SPRING-26" || c.GetUsed() != 0 || c.GetReserved() != 0 || c.GetUsageLimit() != 5 {
			t.Fatal(c, err)
		}
		mustFail(t, second(create(&pricingv1.Coupon{Code: "Spring-26", Discount: percent})), codes.AlreadyExists, pricing.ReasonCouponTaken)
		for name, bad := range map[string]*pricingv1.Coupon{
			"no discount":   {Code: "A"},
			"too much":      {Code: "A", Discount: &pricingv1.Coupon_BasisPoints{BasisPoints: 10001}},
			"nothing":       {Code: "A", Discount: &pricingv1.Coupon_BasisPoints{}},
			"a bad code":    {Code: "A B", Discount: percent},
			"no code":       {Discount: percent},
			"below nothing": {Code: "A", Discount: percent, UsageLimit: -1},
		} {
			if err := second(create(bad)); err == nil {
				t.Errorf("%s was taken", name)
			} else {
				mustFail(t, err, codes.InvalidArgument, "INVALID_FIELDS")
			}
		}
		mustFail(t, second(create(&pricingv1.Coupon{
			Code: "A", Discount: &pricingv1.Coupon_Amount{Amount: usd(1)}, MinimumSubtotal: &typev1.Money{Currency: "EUR"},
		})), codes.InvalidArgument, pricing.ReasonCurrencyMismatch)

		// An amount takes the place of a percentage, and what is not named stays.
		c, err = s.UpdateCoupon(ctx, &pricingv1.UpdateCouponRequest{Coupon: &pricingv1.Coupon{Code: "spring-26", Discount: &pricingv1.Coupon_Amount{Amount: usd(5)}}})
		if err != nil || c.GetAmount().GetMinor() != 5 || c.GetBasisPoints() != 0 || c.GetUsageLimit() != 5 {
			t.Errorf("%v, %v", c, err)
		}
		c, err = s.UpdateCoupon(ctx, &pricingv1.UpdateCouponRequest{
			Coupon: &pricingv1.Coupon{Code: "spring-26", Discount: percent}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}},
		})
		if err != nil || c.GetBasisPoints() != 1000 || c.GetAmount() != nil || c.GetUsageLimit() != 0 {
			t.Errorf("%v, %v", c, err)
		}
		_, err = s.UpdateCoupon(ctx, &pricingv1.UpdateCouponRequest{
			Coupon: &pricingv1.Coupon{Code: "spring-26"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"amount", "basis_points"}},
		})
		mustFail(t, err, codes.InvalidArgument, "INVALID_FIELDS")
		mustFail(t, second(s.UpdateCoupon(ctx, &pricingv1.UpdateCouponRequest{Coupon: &pricingv1.Coupon{Code: "a/b"}})), codes.InvalidArgument, "INVALID_FIELDS")
		mustFail(t, second(s.GetCoupon(ctx, &pricingv1.GetCouponRequest{Code: "NONE"})), codes.NotFound, pricing.ReasonCouponNotFound)

		in := ask(want("MUG", 1))
		in.CouponCode = "spring-26"
		_, err = s.RedeemCoupon(ctx, &pricingv1.RedeemCouponRequest{RedemptionId: uuid.NewString(), QuoteId: s.quote(t, in).GetId()})
		if err != nil {
			t.Fatal(err)
		}
		mustFail(t, second(s.DeleteCoupon(ctx, &pricingv1.DeleteCouponRequest{Code: "spring-26"})), codes.FailedPrecondition, pricing.ReasonCouponRedeemed)
	})
}

// A list's pages hold everything once, in order, and only what the filter lets through.
func TestPagesAreComplete(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		const n = 7
		for i := range n {
			s.coupon(t, fmt.Sprintf("C%d", i), 0)
			for _, sku := range []string{"MUG", "SPOON"} {
				_, err := s.CreatePrice(t.Context(), &pricingv1.CreatePriceRequest{Price: &pricingv1.Price{
					Sku: sku, Amount: usd(int64(i)), ValidFrom: timestamppb.New(s.clock().Add(time.Duration(i) * time.Minute)),
				}})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		var codesSeen []string
		for token := ""; ; {
			page, err := s.ListCoupons(t.Context(), &pricingv1.ListCouponsRequest{PageSize: 3, PageToken: token})
			if err != nil || len(page.GetCoupons()) > 3 {
				t.Fatal(page, err)
			}
			for _, c := range page.GetCoupons() {
				codesSeen = append(codesSeen, c.GetCode())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if got := strings.Join(codesSeen, " "); got != "C0 C1 C2 C3 C4 C5 C6" {
			t.Errorf("the pages have %s", got)
		}
		var seen []int64
		var last string
		for token := ""; ; {
			page, err := s.ListPrices(t.Context(), &pricingv1.ListPricesRequest{PageSize: 3, PageToken: token, Sku: "SPOON"})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.GetPrices() {
				if p.GetSku() != "SPOON" {
					t.Errorf("%v came through", p)
				}
				seen = append(seen, p.GetAmount().GetMinor())
			}
			if page.GetNextPageToken() == "" {
				break
			}
			token, last = page.GetNextPageToken(), page.GetNextPageToken()
		}
		if fmt.Sprint(seen) != "[0 1 2 3 4 5 6]" {
			t.Errorf("the pages have %v", seen)
		}
		mustFail(t, second(s.ListPrices(t.Context(), &pricingv1.ListPricesRequest{PageToken: last, Sku: "MUG"})),
			codes.InvalidArgument, pricing.ReasonPageTokenInvalid)
		mustFail(t, second(s.ListCoupons(t.Context(), &pricingv1.ListCouponsRequest{PageToken: "nonsense"})),
			codes.InvalidArgument, pricing.ReasonPageTokenInvalid)
		if page, err := s.ListPrices(t.Context(), &pricingv1.ListPricesRequest{Sku: "A\x00"}); err != nil || len(page.GetPrices()) != 0 {
			t.Errorf("%v, %v", page, err)
		}
	})
}
