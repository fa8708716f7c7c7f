package basket_test

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
)

func TestACustomerHasOneCart(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *shop) {
		ann, ben := uuid.NewString(), uuid.NewString()
		_, err := s.OfCustomer(ctx, ann)
		mustFail(t, err, codes.NotFound, basket.ReasonCartNotFound)
		_, err = s.OfCustomer(ctx, "") // not a guest's
		mustFail(t, err, codes.NotFound, basket.ReasonCartNotFound)
		guest, second := s.newCart(ctx, t, basket.Wanted{SKU: "MUG", Quantity: 1}), s.newCart(ctx, t)
		mine, err := s.Assign(ctx, guest.ID, ann)
		if err != nil || mine.Customer != ann || !mine.Updated.After(guest.Updated) {
			t.Fatal(mine, err)
		}
		s.mustBeKept(ctx, t, mine, 700, "1 MUG;")
		if again, err := s.Assign(ctx, guest.ID, ann); err != nil || !reflect.DeepEqual(again, mine) {
			t.Errorf("%+v, %v", again, err)
		}
		if got, err := s.OfCustomer(ctx, ann); err != nil || !reflect.DeepEqual(got, mine) {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = s.Assign(ctx, guest.ID, ben)
		mustFail(t, err, codes.FailedPrecondition, basket.ReasonCartOfAnother)
		_, err = s.Assign(ctx, second.ID, ann)
		mustFail(t, err, codes.AlreadyExists, basket.ReasonCustomerHasCart)
		_, err = s.Create(ctx, ann, nil)
		mustFail(t, err, codes.AlreadyExists, basket.ReasonCustomerHasCart)
		if err := s.MarkOrdered(ctx, guest.ID); err != nil {
			t.Fatal(err)
		}
		_, err = s.Assign(ctx, second.ID, ann) // the ordered one is not open
		if err != nil {
			t.Error(err)
		}
		third := s.newCart(ctx, t)
		if err := s.MarkOrdered(ctx, third.ID); err != nil {
			t.Fatal(err)
		}
		_, err = s.Assign(ctx, third.ID, ben)
		mustFail(t, err, codes.FailedPrecondition, basket.ReasonCartOrdered)
		_, err = s.Assign(ctx, uuid.NewString(), ben)
		mustFail(t, err, codes.NotFound, basket.ReasonCartNotFound)
	})
}

func TestMerge(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *shop) {
		ann, ben := uuid.NewString(), uuid.NewString()
		guest := s.newCart(ctx, t, basket.Wanted{SKU: "MUG", Quantity: 1})
		mine, err := s.Merge(ctx, guest.ID, ann) // there is none: it becomes hers
		if err != nil || mine.ID != guest.ID || mine.Customer != ann || mine.State != basket.Open {
			t.Fatal(mine, err)
		}
		if again, err := s.Merge(ctx, guest.ID, ann); err != nil || !reflect.DeepEqual(again, mine) {
			t.Errorf("%+v, %v", again, err)
		}
		s.price("MUG", "USD", 800)
		guest = s.newCart(ctx, t, basket.Wanted{SKU: "PEN", Quantity: 2}, basket.Wanted{SKU: "MUG", Quantity: 3})
		var both basket.Cart
		for range 2 { // sent again it changes nothing
			if both, err = s.Merge(ctx, guest.ID, ann); err != nil || both.ID != mine.ID {
				t.Fatal(both, err)
			}
			s.mustBeKept(ctx, t, both, 4*800+2*150, "4 MUG;2 PEN;")
		}
		gone, err := s.Get(ctx, guest.ID)
		if err != nil || gone.State != basket.Merged || gone.MergedInto != mine.ID || len(gone.Items) != 0 {
			t.Errorf("%+v, %v", gone, err)
		}
		_, err = s.Add(ctx, guest.ID, "PEN", 1)
		mustFail(t, err, codes.FailedPrecondition, basket.ReasonCartMerged)
		if err := s.MarkOrdered(ctx, guest.ID); err != nil {
			t.Error(err)
		}
		s.mustBeKept(ctx, t, gone, 0, "")

		_, err = s.Merge(ctx, guest.ID, ben)
		mustFail(t, err, codes.FailedPrecondition, basket.ReasonCartOfAnother)
		_, err = s.Merge(ctx, mine.ID, ben)
		mustFail(t, err, codes.FailedPrecondition, basket.ReasonCartOfAnother)
		_, err = s.Merge(ctx, uuid.NewString(), ann)
		mustFail(t, err, codes.NotFound, basket.ReasonCartNotFound)

		// What doesn't fit leaves both as they were.
		for reason, wanted := range map[string]basket.Wanted{
			basket.ReasonCurrencyMismatch: {SKU: "EURO", Quantity: 1}, basket.ReasonQuantityTooLarge: {SKU: "MUG", Quantity: basket.MaxPieces},
		} {
			odd := s.newCart(ctx, t, wanted)
			_, err := s.Merge(ctx, odd.ID, ann)
			mustFail(t, err, codes.FailedPrecondition, reason)
			if got, err := s.Get(ctx, odd.ID); err != nil || !reflect.DeepEqual(got, odd) {
				t.Errorf("%+v, %v", got, err)
			}
			s.mustBeKept(ctx, t, both, 4*800+2*150, "4 MUG;2 PEN;")
		}
	})
}

// Many carts of one customer are merged at once: nothing is lost, and one is open in the end.
func TestMergeAtOnce(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *shop) {
		const many = 6
		ann := uuid.NewString()
		var all sync.WaitGroup
		for range many {
			c := s.newCart(ctx, t, basket.Wanted{SKU: "MUG", Quantity: 1})
			for range 2 {
				all.Go(func() {
					if _, err := s.Merge(ctx, c.ID, ann); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		c, err := s.OfCustomer(ctx, ann)
		if err != nil {
			t.Fatal(err)
		}
		s.mustBeKept(ctx, t, c, many*700, fmt.Sprintf("%d MUG;", many))
	})
}

// Whatever two carts hold: all pieces of both are in the one and none in the other, or both are as they were and a limit says why.
func TestTakeLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cart := func(label string) basket.Cart {
			c := basket.Cart{ID: label, State: basket.Open, Coupon: rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "coupon")}
			n := rapid.OneOf(rapid.IntRange(0, 4), rapid.IntRange(95, basket.MaxLines)).Draw(t, "lines")
			currency := rapid.SampledFrom([]string{"USD", "USD", "USD", "EUR"}).Draw(t, "currency")
			first := rapid.IntRange(0, 120).Draw(t, "first")
			for i := range n {
				v := basket.Variant{
					SKU: fmt.Sprint(first + i), Status: basket.ForSale,
					Price: basket.Money{Currency: currency, Minor: rapid.OneOf(rapid.Int64Range(0, 9), rapid.Just[int64](basket.MaxMinor/400/5000)).Draw(t, "price")},
				}
				if err := c.Add(v, rapid.OneOf(rapid.Int64Range(1, 5), rapid.Just[int64](5001)).Draw(t, "quantity")); err != nil {
					t.Fatal(err)
				}
			}
			return c
		}
		into, from := cart("into"), cart("from")
		was, other := into, from
		was.Items, other.Items = append([]basket.Item(nil), into.Items...), append([]basket.Item(nil), from.Items...)
		pieces := func(carts ...basket.Cart) map[string]int64 {
			sum := map[string]int64{}
			for _, c := range carts {
				for _, it := range c.Items {
					sum[it.SKU] += it.Quantity
				}
			}
			return sum
		}
		want := pieces(was, other)
		if err := into.Take(&from); err != nil {
			switch problem.From(err).Reason {
			case basket.ReasonCartFull, basket.ReasonQuantityTooLarge, basket.ReasonCurrencyMismatch, basket.ReasonTotalTooLarge:
			default:
				t.Fatal(err)
			}
			if !reflect.DeepEqual(pieces(into), pieces(was)) || !reflect.DeepEqual(from, other) || into.Coupon != was.Coupon {
				t.Fatalf("refused with %v, and yet changed", err)
			}
			return
		}
		if !reflect.DeepEqual(pieces(into), want) || len(into.Items) > basket.MaxLines {
			t.Fatalf("%v, want %v", pieces(into), want)
		}
		if _, err := into.Total(); err != nil {
			t.Fatal(err)
		}
		if from.State != basket.Merged || from.MergedInto != into.ID || len(from.Items) != 0 || from.Coupon != "" {
			t.Fatalf("%+v", from)
		}
		if coupon := was.Coupon; coupon != "" && into.Coupon != coupon || coupon == "" && into.Coupon != other.Coupon {
			t.Fatalf("of the coupons %q and %q it kept %q", was.Coupon, other.Coupon, into.Coupon)
		}
	})
}

func TestCouponsAndRequotes(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *shop) {
		c := s.newCart(ctx, t)
		if got, err := s.SetCoupon(ctx, c.ID, "whatever"); err != nil || got.Coupon != "WHATEVER" { // an empty cart can't be priced
			t.Errorf("%+v, %v", got, err)
		}
		if got, changes, err := s.Requote(ctx, c.ID); err != nil || len(changes) != 0 || got.Coupon != "WHATEVER" {
			t.Errorf("%+v, %v, %v", got, changes, err)
		}
		for _, sku := range []string{"MUG", "PEN"} {
			if _, err := s.Add(ctx, c.ID, sku, 1); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.SetCoupon(ctx, c.ID, "ten")
		mustFail(t, err, codes.FailedPrecondition, "COUPON_NOT_APPLICABLE")
		if got, err := s.SetCoupon(ctx, c.ID, ""); err != nil || got.Coupon != "" {
			t.Errorf("%+v, %v", got, err)
		}
		s.price("MUG", "USD", 900)
		got, changes, err := s.Requote(ctx, c.ID)
		if err != nil || !reflect.DeepEqual(changes, []basket.LineChange{
			{SKU: "MUG", Old: basket.Money{Currency: "USD", Minor: 700}, New: basket.Money{Currency: "USD", Minor: 900}, Status: basket.ForSale},
		}) {
			t.Errorf("%+v, %v", changes, err)
		}
		s.mustBeKept(ctx, t, got, 900+150, "1 MUG;1 PEN;")
		if same, changes, err := s.Requote(ctx, c.ID); err != nil || len(changes) != 0 || !same.Updated.Equal(got.Updated) {
			t.Errorf("%+v, %v, %v", same, changes, err)
		}
		if got, err := s.SetCoupon(ctx, c.ID, "ten"); err != nil || got.Coupon != "TEN" {
			t.Errorf("%+v, %v", got, err)
		}

		// What can't be bought any more stays, and is told.
		s.mu.Lock()
		delete(s.variants, "PEN")
		s.variants["MUG"] = basket.Variant{SKU: "MUG", Status: basket.NotForSale, Price: basket.Money{Currency: "USD", Minor: 1}}
		s.mu.Unlock()
		got, changes, err = s.Requote(ctx, c.ID)
		if err != nil || len(changes) != 2 || changes[0].Status != basket.NotForSale || changes[1].Status != basket.UnknownSKU || changes[0].New.Minor != 0 {
			t.Errorf("%+v, %v", changes, err)
		}
		s.mustBeKept(ctx, t, got, 900+150, "1 MUG;1 PEN;")
		s.price("MUG", "EUR", 1)
		if _, changes, err := s.Requote(ctx, c.ID); err != nil || len(changes) != 2 || changes[0].Status != basket.NoPrice {
			t.Errorf("%+v, %v", changes, err)
		}
		s.price("MUG", "USD", basket.MaxMinor)
		_, _, err = s.Requote(ctx, c.ID)
		mustFail(t, err, codes.FailedPrecondition, basket.ReasonTotalTooLarge)
		s.mustBeKept(ctx, t, got, 900+150, "1 MUG;1 PEN;")

		if err := s.MarkOrdered(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		_, _, err = s.Requote(ctx, c.ID)
		mustFail(t, err, codes.FailedPrecondition, basket.ReasonCartOrdered)
		for _, code := range []string{"", "ten"} {
			_, err = s.SetCoupon(ctx, c.ID, code)
			mustFail(t, err, codes.FailedPrecondition, basket.ReasonCartOrdered)
		}
		_, err = s.SetCoupon(ctx, uuid.NewString(), "ten")
		mustFail(t, err, codes.NotFound, basket.ReasonCartNotFound)
	})
}
