package shopify

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/currency"
)

// maxMinor is the limit of shop.type.v1.Money.
const maxMinor = 1_000_000_000_000_000

// currencyUnit is a currency and how many decimals its prices have.
type currencyUnit struct {
	code  string
	scale int
}

func parseCurrency(code string) (currencyUnit, error) {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return currencyUnit{}, fmt.Errorf("currency %q is not an ISO 4217 code, such as EUR", code)
	}
	scale, _ := currency.Standard.Rounding(unit)
	return currencyUnit{code: unit.String(), scale: scale}, nil
}

// parse reads a decimal amount, "19.9", as minor units, 1990, without ever leaving the integers.
func (u currencyUnit) parse(s string) (int64, error) {
	if s == "" {
		return 0, errors.New("it is empty")
	}
	whole, fraction, _ := strings.Cut(s, ".")
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > u.scale {
		return 0, fmt.Errorf("%q has more than the %d decimals of %s", s, u.scale, u.code)
	}
	if whole == "" {
		return 0, fmt.Errorf("%q is not a decimal amount", s)
	}
	var minor int64
	for _, c := range whole + fraction + strings.Repeat("0", u.scale-len(fraction)) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a decimal amount, such as 1299.90", s)
		}
		if minor = minor*10 + int64(c-'0'); minor > maxMinor {
			return 0, fmt.Errorf("%q is too much", s)
		}
	}
	return minor, nil
}
