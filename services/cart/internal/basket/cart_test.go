package basket

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
)

func reason(err error) string {
	if err == nil {
		return ""
	}
	return problem.From(err).Reason
}

// TestMoney compares sums with those of numbers that know no limit.
func TestMoney(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		amount := rapid.OneOf(rapid.Int64Range(0, 1_000_000), rapid.Int64Range(0, MaxMinor), rapid.Int64Min(0))
		pieces := rapid.OneOf(rapid.Int64Range(1, 10), rapid.Int64Range(1, MaxPieces), rapid.Int64Min(1))
		items := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Item {
			return Item{
				Quantity: pieces.Draw(r, "pieces"),
				Unit:     Money{Currency: rapid.SampledFrom([]string{"USD", "USD", "USD", "USD", "EUR"}).Draw(r, "currency"), Minor: amount.Draw(r, "minor")},
			}
		}), 1, 5).Draw(r, "items")

		exact, limit := new(big.Int), big.NewInt(MaxMinor)
		mixed, over := false, false
		for _, i := range items {
			exact.Add(exact, new(big.Int).Mul(big.NewInt(i.Unit.Minor), big.NewInt(i.Quantity)))
			mixed = mixed || i.Unit.Currency != items[0].Unit.Currency
			over = over || exact.Cmp(limit) > 0
		}
		sum, err := (&Cart{Items: items}).Total()
		switch why := reason(err); {
		case err != nil && problem.From(err).Code != codes.FailedPrecondition:
			r.Errorf("%v isn't a clear no", err)
		case why == ReasonCurrencyMismatch && mixed, why == ReasonTotalTooLarge && over:
		case mixed || over:
			r.Errorf("mixed %v, too large %v: %+v, %v", mixed, over, sum, err)
		case err != nil || sum.Currency != items[0].Unit.Currency || big.NewInt(sum.Minor).Cmp(exact) != 0:
			r.Errorf("%+v (%v), want %s", sum, err, exact)
		}
	})
}

func TestNothingAddsToAnything(t *testing.T) {
	for _, m := range []Money{{}, {Currency: "USD"}, {Currency: "USD", Minor: 5}} {
		for _, pair := range [][2]Money{{m, {}}, {{}, m}} {
			if got, err := pair[0].Plus(pair[1]); err != nil || got != m {
				t.Errorf("%+v + %+v = %+v, %v", pair[0], pair[1], got, err)
			}
		}
	}
	for _, m := range []Money{{Currency: "USD", Minor: -1}, {Currency: "USD", Minor: MaxMinor + 1}} {
		if got, err := m.Times(1); err == nil {
			t.Errorf("%+v x 1 = %+v", m, got)
		}
		if got, err := m.Plus(Money{Currency: "USD"}); err == nil {
			t.Errorf("%+v + 0 = %+v", m, got)
		}
	}
}

// TestCartKeepsItsLimits puts anything into a cart, in any order, and compares it with a map.
func TestCartKeepsItsLimits(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := Cart{State: Open}
		pieces, prices := map[string]int64{}, map[string]Money{}
		var added []string
		quantity := rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(-1, MaxPieces+1), rapid.Just(int64(MaxPieces)))
		variant := rapid.Custom(func(r *rapid.T) Variant {
			return Variant{
				SKU: rapid.SampledFrom([]string{"A", "B", "C"}).Draw(r, "sku"), Title: rapid.SampledFrom([]string{"old", "new"}).Draw(r, "title"),
				Price: Money{
					Currency: rapid.SampledFrom([]string{"USD", "USD", "USD", "EUR"}).Draw(r, "currency"),
					Minor:    rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, MaxMinor)).Draw(r, "minor"),
				},
				Status: Status(rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 2}).Draw(r, "status")),
			}
		})
		keep := func(v Variant, q int64) {
			if !slices.Contains(added, v.SKU) {
				added = append(added, v.SKU)
			}
			pieces[v.SKU], prices[v.SKU] = q, v.Price
		}
		r.Repeat(map[string]func(*rapid.T){
			"add": func(r *rapid.T) {
				v, q, was := variant.Draw(r, "variant"), quantity.Draw(r, "quantity"), slices.Clone(c.Items)
				if err := c.Add(v, q); err != nil {
					mustBeAsItWas(r, c, was, err)
					return
				}
				keep(v, pieces[v.SKU]+q)
			},
			"set": func(r *rapid.T) {
				v, q, was := variant.Draw(r, "variant"), quantity.Draw(r, "quantity"), slices.Clone(c.Items)
				if err := c.Set(v, q); err != nil {
					mustBeAsItWas(r, c, was, err)
					return
				}
				keep(v, q)
			},
			"remove": func(r *rapid.T) {
				sku := rapid.SampledFrom([]string{"A", "B", "C", "D"}).Draw(r, "sku")
				there, err := c.Remove(sku)
				if _, want := pieces[sku]; err != nil || there != want {
					r.Fatalf("remove %s: %v, %v; want %v", sku, there, err, want)
				}
				delete(pieces, sku)
				added = slices.DeleteFunc(added, func(s string) bool { return s == sku })
			},
			"": func(r *rapid.T) {
				total, err := c.Total()
				if err != nil || total.Minor > MaxMinor {
					r.Fatalf("total %+v, %v", total, err)
				}
				if (total == Money{}) != (len(c.Items) == 0) {
					r.Fatalf("total %+v of %+v", total, c.Items)
				}
				var skus []string
				for _, i := range c.Items {
					skus = append(skus, i.SKU)
					if i.Quantity < 1 || i.Quantity > MaxPieces || i.Quantity != pieces[i.SKU] || i.Unit != prices[i.SKU] || i.Unit.Currency != total.Currency {
						r.Fatalf("%+v, want %d at %+v", i, pieces[i.SKU], prices[i.SKU])
					}
				}
				if !slices.Equal(skus, added) {
					r.Fatalf("lines %v, want %v", skus, added)
				}
			},
		})
	})
}

func mustBeAsItWas(r *rapid.T, c Cart, was []Item, err error) {
	r.Helper()
	if !slices.Equal(c.Items, was) {
		r.Fatalf("refused (%v), and yet %+v became %+v", err, was, c.Items)
	}
	switch p := problem.From(err); p.Code {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.NotFound:
	default:
		r.Fatalf("%v isn't a clear no", err)
	}
}

func TestRefusals(t *testing.T) {
	mug := Variant{SKU: "MUG", Title: "Mug", Price: Money{Currency: "USD", Minor: 700}, Status: ForSale}
	euro, draft, dear := mug, mug, mug
	euro.SKU, euro.Price.Currency = "EURO", "EUR"
	draft.SKU, draft.Status = "DRAFT", NotForSale
	dear.SKU, dear.Price.Minor = "DEAR", MaxMinor
	full := Cart{State: Open}
	for i := range MaxLines {
		v := mug
		v.SKU = fmt.Sprint(i)
		if err := full.Add(v, 1); err != nil {
			t.Fatal(err)
		}
	}
	one := func() *Cart {
		return &Cart{State: Open, Items: []Item{{SKU: "MUG", Title: "Mug", Quantity: MaxPieces - 1, Unit: mug.Price}}}
	}
	ordered := one()
	ordered.Order()
	for name, c := range map[string]struct {
		got  error
		want string
	}{
		"another currency":      {one().Add(euro, 1), ReasonCurrencyMismatch},
		"not for sale":          {one().Add(draft, 1), ReasonProductNotForSale},
		"too dear":              {one().Add(dear, 1), ReasonTotalTooLarge},
		"too many by adding":    {one().Add(mug, 2), ReasonQuantityTooLarge},
		"as many as can be":     {one().Add(mug, 1), ""},
		"too many at once":      {one().Add(mug, MaxPieces+1), "INVALID_FIELDS"},
		"none":                  {one().Add(mug, 0), "INVALID_FIELDS"},
		"set one not there":     {one().Set(euro, 1), ReasonItemNotFound},
		"set too many":          {one().Set(mug, MaxPieces+1), "INVALID_FIELDS"},
		"set as many as can be": {one().Set(mug, MaxPieces), ""},
		"one line too many":     {full.Add(mug, 1), ReasonCartFull},
		"more of a full cart":   {full.Add(Variant{SKU: "7", Price: mug.Price, Status: ForSale}, 1), ""},
		"add to an ordered":     {ordered.Add(mug, 1), ReasonCartOrdered},
		"set in an ordered":     {ordered.Set(mug, 1), ReasonCartOrdered},
	} {
		if got := reason(c.got); got != c.want {
			t.Errorf("%s: %v, want %q", name, c.got, c.want)
		}
	}
	if _, err := ordered.Remove("MUG"); reason(err) != ReasonCartOrdered {
		t.Errorf("remove from an ordered: %v", err)
	}
	// The only line may change its currency: then nothing is mixed.
	c := one()
	if err := c.Set(Variant{SKU: "MUG", Price: Money{Currency: "EUR", Minor: 5}, Status: ForSale}, 2); err != nil {
		t.Error(err)
	}
	if total, err := c.Total(); err != nil || !reflect.DeepEqual(total, Money{Currency: "EUR", Minor: 10}) {
		t.Errorf("%+v, %v", total, err)
	}
}
