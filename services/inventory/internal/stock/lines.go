package stock

import (
	"cmp"
	"slices"

	"github.com/cleavehq/cleave/chassis/problem"
)

// sortLines checks the lines of a reservation and returns a copy sorted by SKU. Every transaction touches SKUs in this one
// order, so that two of them never wait for each other in a circle.
func sortLines(lines []Line) ([]Line, error) {
	if len(lines) == 0 || len(lines) > MaxLines {
		return nil, problem.InvalidArgument(ReasonOutOfRange, "a reservation has 1 to %d lines, not %d", MaxLines, len(lines))
	}
	for _, l := range lines {
		if err := checkSKU(l.SKU); err != nil {
			return nil, err
		}
		if l.Quantity < 1 || l.Quantity > MaxQuantity {
			return nil, problem.InvalidArgument(ReasonOutOfRange, "a quantity is 1 to %d, not %d", MaxQuantity, l.Quantity)
		}
	}
	sorted := slices.Clone(lines)
	slices.SortFunc(sorted, func(a, b Line) int { return cmp.Compare(a.SKU, b.SKU) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].SKU == sorted[i-1].SKU {
			return nil, problem.InvalidArgument(ReasonDuplicateSKU, "%s is on two lines; add them up", sorted[i].SKU)
		}
	}
	return sorted, nil
}

// sameLines compares two sorted lists: the order in which a caller wrote its lines means nothing.
func sameLines(a, b []Line) bool { return slices.Equal(a, b) }
