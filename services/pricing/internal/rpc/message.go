package rpc

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// fill puts a thing into the answer, unless there is an error.
func fill[T any, M proto.Message](out M, thing T, err error, message func(T) M) error {
	if err != nil {
		return err
	}
	proto.Merge(out, message(thing))
	return nil
}

func quote(q price.Quote) *pricingv1.Quote {
	money := func(minor int64) *typev1.Money { return &typev1.Money{Currency: q.Currency, Minor: minor} }
	out := &pricingv1.Quote{
		Id: q.ID, Subtotal: money(q.Total.Subtotal), Discount: money(q.Total.Discount), Tax: money(q.Total.Tax), Total: money(q.Total.Total),
		CouponCode: q.Coupon, ExpireTime: timestamppb.New(q.Expires), CreateTime: timestamppb.New(q.Created), Country: q.Country,
		TaxBasisPoints: int32(q.Tax.BasisPoints), TaxInclusive: q.Tax.Inclusive, //nolint:gosec // at most price.Whole
	}
	for _, l := range q.Lines {
		out.Lines = append(out.Lines, &pricingv1.QuoteLine{
			Sku: l.SKU, Title: l.Title, Quantity: l.Quantity, UnitPrice: money(l.Unit), Subtotal: money(l.Subtotal),
			Discount: money(l.Discount), Tax: money(l.Tax), Total: money(l.Total),
		})
	}
	return out
}

func skuPrice(p price.SKUPrice) *pricingv1.SkuPrice {
	return &pricingv1.SkuPrice{
		Sku: p.SKU, Status: pricingv1.PriceStatus(p.Status), Title: p.Title, UnitPrice: moneyMessage(p.Unit), //nolint:gosec // 1 to 4
	}
}

func redemption(r price.Redemption) *pricingv1.Redemption {
	out := &pricingv1.Redemption{Id: r.ID, QuoteId: r.QuoteID, CouponCode: r.Coupon}
	switch r.State {
	case price.Reserved:
		out.State = pricingv1.RedemptionState_REDEMPTION_STATE_RESERVED
	case price.Committed:
		out.State = pricingv1.RedemptionState_REDEMPTION_STATE_COMMITTED
	case price.Released:
		out.State = pricingv1.RedemptionState_REDEMPTION_STATE_RELEASED
	}
	return out
}

func entryMessage(e price.Entry) *pricingv1.Price {
	return &pricingv1.Price{
		Id: e.ID, Sku: e.SKU, Amount: moneyMessage(e.Amount), ValidFrom: timeMessage(e.Valid.From), ValidUntil: timeMessage(e.Valid.Until),
		CreateTime: timestamppb.New(e.Created), UpdateTime: timestamppb.New(e.Updated), Etag: e.Etag(),
	}
}

// The server's own fields are not read: fromX is what a caller may say.

func fromEntry(m *pricingv1.Price) price.Entry {
	return price.Entry{SKU: m.GetSku(), Amount: money(m.GetAmount()), Valid: windowOf(m.GetValidFrom(), m.GetValidUntil())}
}

func taxMessage(r price.TaxRate) *pricingv1.TaxRate {
	return &pricingv1.TaxRate{
		Country: r.Country, BasisPoints: int32(r.BasisPoints), Inclusive: r.Inclusive, //nolint:gosec // at most price.Whole
		CreateTime: timestamppb.New(r.Created), UpdateTime: timestamppb.New(r.Updated), Etag: r.Etag(),
	}
}

func fromTax(m *pricingv1.TaxRate) price.TaxRate {
	return price.TaxRate{Country: m.GetCountry(), BasisPoints: int64(m.GetBasisPoints()), Inclusive: m.GetInclusive()}
}

func couponMessage(c price.Coupon) *pricingv1.Coupon {
	out := &pricingv1.Coupon{
		Code: c.Code, ValidFrom: timeMessage(c.Valid.From), ValidUntil: timeMessage(c.Valid.Until), MinimumSubtotal: moneyMessage(c.Minimum),
		UsageLimit: c.Limit, Used: c.Used, Reserved: c.Reserved,
		CreateTime: timestamppb.New(c.Created), UpdateTime: timestamppb.New(c.Updated), Etag: c.Etag(),
	}
	if c.Off.Amount.Currency != "" {
		out.Discount = &pricingv1.Coupon_Amount{Amount: moneyMessage(c.Off.Amount)}
	} else {
		out.Discount = &pricingv1.Coupon_BasisPoints{BasisPoints: int32(c.Off.BasisPoints)} //nolint:gosec // at most price.Whole
	}
	return out
}

func fromCoupon(m *pricingv1.Coupon) price.Coupon {
	return price.Coupon{
		Code: m.GetCode(), Off: price.Off{BasisPoints: int64(m.GetBasisPoints()), Amount: money(m.GetAmount())},
		Minimum: money(m.GetMinimumSubtotal()), Valid: windowOf(m.GetValidFrom(), m.GetValidUntil()), Limit: m.GetUsageLimit(),
	}
}

func money(m *typev1.Money) price.Money {
	return price.Money{Currency: m.GetCurrency(), Minor: m.GetMinor()}
}

// moneyMessage is nil for what was not given.
func moneyMessage(m price.Money) *typev1.Money {
	if m.Currency == "" {
		return nil
	}
	return &typev1.Money{Currency: m.Currency, Minor: m.Minor}
}

func windowOf(from, until *timestamppb.Timestamp) price.Window {
	return price.Window{From: instant(from), Until: instant(until)}
}

// instant is to the microsecond, as the contract says.
func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime().Truncate(time.Microsecond)
}

func timeMessage(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
