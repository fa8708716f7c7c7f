package sale

import "github.com/cleavehq/cleave/chassis/problem"

// MaxMinor is the highest amount of a line and of an order, in minor units: the limit of shop.type.v1.Money.
const MaxMinor = 1_000_000_000_000_000

// Money is an amount in minor units of its currency. The zero value is "nothing": it has no currency and adds to any.
type Money struct {
	// Currency is an ISO 4217 code, or empty for nothing.
	Currency string
	// Minor is between 0 and MaxMinor.
	Minor int64
}

// Times returns m x n, or TOTAL_TOO_LARGE. n is not negative.
func (m Money) Times(n int64) (Money, error) {
	if m.Minor < 0 || n < 0 || n > 0 && m.Minor > MaxMinor/n {
		return Money{}, tooLarge()
	}
	return Money{Currency: m.Currency, Minor: m.Minor * n}, nil
}

// Plus returns m + o, or CURRENCY_MISMATCH, or TOTAL_TOO_LARGE.
func (m Money) Plus(o Money) (Money, error) {
	switch (Money{}) {
	case m:
		m.Currency = o.Currency
	case o:
		o.Currency = m.Currency
	}
	if m.Currency != o.Currency {
		return Money{}, problem.FailedPrecondition(ReasonCurrencyMismatch, "one order has one currency: %s and %s don't add up", m.Currency, o.Currency)
	}
	if m.Minor < 0 || o.Minor < 0 || m.Minor > MaxMinor-o.Minor {
		return Money{}, tooLarge()
	}
	return Money{Currency: m.Currency, Minor: m.Minor + o.Minor}, nil
}

func tooLarge() error {
	return problem.FailedPrecondition(ReasonTotalTooLarge, "an order costs at most %d minor units", int64(MaxMinor))
}

// SumOf adds the lines up before discount and tax: CURRENCY_MISMATCH or TOTAL_TOO_LARGE when they don't.
func SumOf(lines []Line) (Money, error) {
	var sum Money
	for _, l := range lines {
		line, err := l.Subtotal()
		if err != nil {
			return Money{}, err
		}
		if sum, err = sum.Plus(line); err != nil {
			return Money{}, err
		}
	}
	return sum, nil
}
