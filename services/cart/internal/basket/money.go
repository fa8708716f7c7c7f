package basket

import "github.com/cleavehq/cleave/chassis/problem"

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
		return Money{}, problem.FailedPrecondition(ReasonCurrencyMismatch, "one cart has one currency: %s and %s don't add up", m.Currency, o.Currency)
	}
	if m.Minor < 0 || o.Minor < 0 || m.Minor > MaxMinor-o.Minor {
		return Money{}, tooLarge()
	}
	return Money{Currency: m.Currency, Minor: m.Minor + o.Minor}, nil
}

func tooLarge() error {
	return problem.FailedPrecondition(ReasonTotalTooLarge, "a cart costs at most %d minor units", int64(MaxMinor))
}
