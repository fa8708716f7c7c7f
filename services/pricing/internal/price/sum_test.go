package price

import (
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
)

func TestSumsByHand(t *testing.T) {
	for name, c := range map[string]struct {
		lines []Line
		off   Off
		tax   TaxRate
		want  Sums
		each  []Sums
	}{
		"nothing but prices": {
			lines: []Line{{Quantity: 3, Unit: 700}, {Quantity: 1, Unit: 1}}, want: Sums{Subtotal: 2101, Total: 2101},
			each: []Sums{{Subtotal: 2100, Total: 2100}, {Subtotal: 1, Total: 1}},
		},
		// 19 % of 50 is 9.5: up. Of two lines each is rounded, so the tax is 20 and not 19.
		"tax on top, half up, line by line": {
			lines: []Line{{Quantity: 1, Unit: 50}, {Quantity: 1, Unit: 50}}, tax: TaxRate{BasisPoints: 1900},
			want: Sums{Subtotal: 100, Tax: 20, Total: 120},
			each: []Sums{{Subtotal: 50, Tax: 10, Total: 60}, {Subtotal: 50, Tax: 10, Total: 60}},
		},
		// In 119 there are 19; in 100 there are 15.966.
		"tax in the price": {
			lines: []Line{{Quantity: 1, Unit: 119}, {Quantity: 1, Unit: 100}}, tax: TaxRate{BasisPoints: 1900, Inclusive: true},
			want: Sums{Subtotal: 219, Tax: 35, Total: 219},
			each: []Sums{{Subtotal: 119, Tax: 19, Total: 119}, {Subtotal: 100, Tax: 16, Total: 100}},
		},
		// 12.5 % of 4 is 0.5: up.
		"percent, then tax of what is left": {
			lines: []Line{{Quantity: 4, Unit: 1}, {Quantity: 1, Unit: 800}}, off: Off{BasisPoints: 1250}, tax: TaxRate{BasisPoints: 1000},
			want: Sums{Subtotal: 804, Discount: 101, Tax: 70, Total: 773},
			each: []Sums{{Subtotal: 4, Discount: 1, Tax: 0, Total: 3}, {Subtotal: 800, Discount: 100, Tax: 70, Total: 770}},
		},
		"an amount is spread, and no unit of it is lost": {
			lines: []Line{{Quantity: 1, Unit: 100}, {Quantity: 1, Unit: 100}, {Quantity: 1, Unit: 100}}, off: Off{Amount: Money{"EUR", 100}},
			want: Sums{Subtotal: 300, Discount: 100, Total: 200},
			each: []Sums{{100, 33, 0, 67}, {100, 33, 0, 67}, {100, 34, 0, 66}},
		},
		"an amount is never more than the cart": {
			lines: []Line{{Quantity: 1, Unit: 100}, {Quantity: 1, Unit: 0}}, off: Off{Amount: Money{"EUR", MaxMinor}},
			want: Sums{Subtotal: 100, Discount: 100}, each: []Sums{{100, 100, 0, 0}, {}},
		},
		"a gift costs nothing": {
			lines: []Line{{Quantity: 5, Unit: 0}}, off: Off{Amount: Money{"EUR", 5}}, tax: TaxRate{BasisPoints: 1900},
			each: []Sums{{}},
		},
		"the largest": {
			lines: []Line{{Quantity: 1, Unit: MaxMinor}}, off: Off{Amount: Money{"EUR", MaxMinor / 2}}, tax: TaxRate{BasisPoints: Whole},
			want: Sums{MaxMinor, MaxMinor / 2, MaxMinor / 2, MaxMinor}, each: []Sums{{MaxMinor, MaxMinor / 2, MaxMinor / 2, MaxMinor}},
		},
	} {
		got, err := sum(c.lines, c.off, c.tax)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
		for i, l := range c.lines {
			if l.Sums != c.each[i] {
				t.Errorf("%s: line %d is %+v, want %+v", name, i, l.Sums, c.each[i])
			}
		}
	}
}

func TestSumsThatAreTooLarge(t *testing.T) {
	for name, c := range map[string]struct {
		lines []Line
		tax   TaxRate
	}{
		"a line":           {lines: []Line{{Quantity: MaxQuantity, Unit: MaxMinor}}},
		"a line by one":    {lines: []Line{{Quantity: 2, Unit: MaxMinor/2 + 1}}},
		"the lines by one": {lines: []Line{{Quantity: 1, Unit: MaxMinor}, {Quantity: 1, Unit: 1}}},
		"the tax":          {lines: []Line{{Quantity: 1, Unit: MaxMinor}}, tax: TaxRate{BasisPoints: 1}},
	} {
		if _, err := sum(c.lines, Off{}, c.tax); err == nil || problem.From(err).Reason != ReasonTotalTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is bought, with whatever coupon and tax: the lines sum to the totals, nobody is paid for taking a thing away, and every amount
// is the exact one, rounded once. The exact one is a fraction of whole numbers without a limit.
func TestSumsAddUp(t *testing.T) {
	minor := func(most int64) *rapid.Generator[int64] {
		return rapid.OneOf(rapid.Int64Range(0, min(most, 1000)), rapid.Int64Range(0, most))
	}
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.Custom(func(t *rapid.T) Line {
			unit, most := minor(MaxMinor/20).Draw(t, "unit"), int64(MaxQuantity)
			if rapid.IntRange(0, 99).Draw(t, "fits") > 0 { // else it may be more than a quote can be
				most = min(MaxQuantity, max(1, MaxMinor/40/max(unit, 1)))
			}
			return Line{Unit: unit, Quantity: rapid.Int64Range(1, most).Draw(t, "quantity")}
		})
		lines := rapid.SliceOfN(line, 1, 20).Draw(t, "lines")
		var off Off
		switch rapid.IntRange(0, 2).Draw(t, "coupon") {
		case 1:
			off.BasisPoints = rapid.Int64Range(1, Whole).Draw(t, "percent")
		case 2:
			off.Amount = Money{"EUR", minor(MaxMinor).Draw(t, "amount")}
		}
		tax := TaxRate{BasisPoints: rapid.Int64Range(0, Whole).Draw(t, "tax"), Inclusive: rapid.Bool().Draw(t, "inclusive")}
		got, err := sum(lines, off, tax)
		if err != nil {
			if problem.From(err).Reason != ReasonTotalTooLarge || exact(lines, tax) <= MaxMinor {
				t.Fatal(err)
			}
			return
		}
		var want Sums
		for _, l := range lines {
			s := l.Sums
			want = Sums{want.Subtotal + s.Subtotal, want.Discount + s.Discount, want.Tax + s.Tax, want.Total + s.Total}
			if s.Subtotal != l.Unit*l.Quantity || s.Discount < 0 || s.Discount > s.Subtotal || s.Tax < 0 || s.Total < 0 || s.Total > MaxMinor {
				t.Fatalf("line %+v", l)
			}
			net, part := s.Subtotal-s.Discount, int64(Whole)
			if tax.Inclusive {
				part += tax.BasisPoints
			}
			if s.Tax != round(net, tax.BasisPoints, part) {
				t.Fatalf("the tax of %+v at %+v", l, tax)
			}
			if added := s.Total - net; added != 0 && (tax.Inclusive || added != s.Tax) || !tax.Inclusive && added != s.Tax {
				t.Fatalf("the total of %+v at %+v", l, tax)
			}
			if off.BasisPoints > 0 && s.Discount != round(s.Subtotal, off.BasisPoints, Whole) {
				t.Fatalf("the discount of %+v at %+v", l, off)
			}
		}
		if got != want || got.Discount > got.Subtotal {
			t.Fatalf("the totals are %+v, the lines sum to %+v", got, want)
		}
		if off.Amount.Minor > 0 {
			if got.Discount != min(off.Amount.Minor, got.Subtotal) {
				t.Fatalf("%d off %d is %d", off.Amount.Minor, got.Subtotal, got.Discount)
			}
			for _, l := range lines {
				// A share is less than one unit away from the exact one.
				share := new(big.Int).Mul(big.NewInt(got.Discount), big.NewInt(l.Subtotal))
				is := new(big.Int).Mul(big.NewInt(l.Discount), big.NewInt(got.Subtotal))
				if share.Sub(share, is).CmpAbs(big.NewInt(got.Subtotal)) >= 0 && got.Subtotal > 0 {
					t.Fatalf("%+v bears %d of %d", l, l.Discount, got.Discount)
				}
			}
		}
	})
}

// exact is what lines cost without a discount, as large as it is.
func exact(lines []Line, tax TaxRate) int64 {
	all := new(big.Int)
	for _, l := range lines {
		sub := new(big.Int).Mul(big.NewInt(l.Unit), big.NewInt(l.Quantity))
		if !tax.Inclusive {
			sub.Mul(sub, big.NewInt(Whole+tax.BasisPoints))
			sub.Div(sub.Add(sub, big.NewInt(Whole/2)), big.NewInt(Whole))
		}
		all.Add(all, sub)
	}
	if !all.IsInt64() {
		return MaxMinor + 1
	}
	return all.Int64()
}

func round(a, b, c int64) int64 {
	n := new(big.Int).Mul(big.NewInt(2*a), big.NewInt(b))
	n.Add(n, big.NewInt(c))
	return n.Div(n, big.NewInt(2*c)).Int64()
}

func TestWindows(t *testing.T) {
	unix := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	if w := (Window{unix(100), unix(110)}); w.Holds(unix(99)) || !w.Holds(unix(100)) || !w.Holds(unix(109)) || w.Holds(unix(110)) {
		t.Error("a window holds from its beginning until just before its end")
	}
	if !(Window{}).Holds(unix(0)) || !(Window{From: unix(5)}).Holds(unix(1<<40)) || (Window{From: unix(5)}).Holds(unix(4)) {
		t.Error("an open end")
	}
	bad := []Window{{unix(5), unix(5)}, {unix(5), unix(4)}, {From: unix(-1)}, {Until: unix(-1)}}
	if i := slices.IndexFunc(bad, func(w Window) bool { return w.check() == nil }); i >= 0 {
		t.Errorf("%v was taken", bad[i])
	}
}
