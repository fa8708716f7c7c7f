package price

import (
	"math/bits"

	"github.com/cleavehq/cleave/chassis/problem"
)

// sum fills in what the lines cost, line by line, and returns the totals, which are the sums of the lines. Everything is an integer:
//
//   - subtotal = unit x quantity.
//   - A discount by percent is taken of each line and rounded half up. A fixed one, at most the subtotal, is spread over the lines by
//     what they cost: the shares up to any line are the exact share of those lines rounded down, so they sum to the whole.
//   - tax is taken of each line after its discount and rounded half up: net x rate when it is added, gross x rate / (1 + rate) when
//     it is in the price.
//
// TOTAL_TOO_LARGE when a line or a total would be more than MaxMinor. Up to there no product leaves 128 bits and no sum 64.
func sum(lines []Line, off Off, tax TaxRate) (Sums, error) {
	var all Sums
	for i := range lines {
		l := &lines[i]
		l.Sums = Sums{}
		if l.Unit > 0 && l.Quantity > MaxMinor/l.Unit {
			return Sums{}, tooLarge()
		}
		l.Subtotal = l.Unit * l.Quantity
		if all.Subtotal += l.Subtotal; all.Subtotal > MaxMinor {
			return Sums{}, tooLarge()
		}
	}
	discount(lines, off, all.Subtotal)
	for i := range lines {
		l := &lines[i]
		l.Total = l.Subtotal - l.Discount
		if tax.Inclusive {
			l.Tax = halfUp(l.Total, tax.BasisPoints, Whole+tax.BasisPoints)
		} else {
			l.Tax = halfUp(l.Total, tax.BasisPoints, Whole)
			l.Total += l.Tax
		}
		all.Discount += l.Discount
		all.Tax += l.Tax
		if all.Total += l.Total; all.Total > MaxMinor {
			return Sums{}, tooLarge()
		}
	}
	return all, nil
}

// discount fills in the lines' shares; none is more than its line's subtotal.
func discount(lines []Line, off Off, subtotal int64) {
	amount := min(off.Amount.Minor, subtotal)
	var before, given int64 // of the lines so far
	for i := range lines {
		l := &lines[i]
		if off.BasisPoints > 0 {
			l.Discount = halfUp(l.Subtotal, off.BasisPoints, Whole)
			continue
		}
		if amount == 0 {
			continue
		}
		before += l.Subtotal
		share, _ := divide(amount, before, subtotal)
		l.Discount, given = share-given, share
	}
}

// halfUp returns a x b / c, rounded to the nearest, and up from the middle. b <= c, none is negative, and c is not 0.
func halfUp(a, b, c int64) int64 {
	q, r := divide(a, b, c)
	if r >= c-r {
		q++
	}
	return q
}

// divide returns a x b / c and the rest, by way of 128 bits. b <= c, so the quotient is at most a. None is negative.
func divide(a, b, c int64) (quotient, rest int64) {
	hi, lo := bits.Mul64(uint64(a), uint64(b)) //nolint:gosec // not negative
	q, r := bits.Div64(hi, lo, uint64(c))      //nolint:gosec // not negative, and hi < c since the quotient is at most a
	return int64(q), int64(r)                  //nolint:gosec // q <= a, r < c
}

func tooLarge() error {
	return problem.FailedPrecondition(ReasonTotalTooLarge, "a quote is at most %d minor units", int64(MaxMinor))
}
