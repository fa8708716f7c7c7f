package price

import (
	"context"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Status is whether a SKU can be bought in a currency. The numbers are the contract's.
type Status int

// The statuses.
const (
	ForSale Status = iota + 1
	NotForSale
	UnknownSKU
	NoPrice
)

// SKUPrice is what one piece of a SKU costs at a moment.
type SKUPrice struct {
	SKU    string
	Status Status
	Title  string
	// Unit is zero for UnknownSKU and NoPrice.
	Unit Money
}

// catalogAtOnce is how many SKUs of one request the catalogue is asked for at a time.
const catalogAtOnce = 8

// LookUp says what each SKU costs now, in their order. An empty currency is the one that the catalogue has for each. The price list goes
// before the catalogue.
func (s *Service) LookUp(ctx context.Context, skus []string, currency string) ([]SKUPrice, error) {
	if len(skus) > MaxLines {
		return nil, problem.InvalidArgument(ReasonOutOfRange, "at most %d SKUs are looked up at once, not %d", MaxLines, len(skus))
	}
	return s.lookUp(ctx, skus, currency, s.now())
}

func (s *Service) lookUp(ctx context.Context, skus []string, currency string, at time.Time) ([]SKUPrice, error) {
	out := make([]SKUPrice, len(skus))
	var known []string
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(catalogAtOnce)
	for i, sku := range skus {
		out[i] = SKUPrice{SKU: sku, Status: UnknownSKU}
		if !storable(sku) { // no catalogue and no price list can have it
			continue
		}
		known = append(known, sku)
		group.Go(func() error {
			v, found, err := s.catalog.Variant(groupCtx, sku)
			if err != nil || !found {
				return err
			}
			out[i].Status, out[i].Title, out[i].Unit = NotForSale, v.Title, v.Price
			if v.ForSale {
				out[i].Status = ForSale
			}
			return nil
		})
	}
	listed, err := s.store.Listed(ctx, known, at)
	if waited := group.Wait(); err == nil {
		err = waited
	}
	if err != nil {
		return nil, fmt.Errorf("look up prices: %w", err)
	}
	for i := range out {
		out[i].list(listed[out[i].SKU], currency)
	}
	return out, nil
}

// list puts the list's price in the place of the catalogue's.
func (p *SKUPrice) list(listed map[string]int64, currency string) {
	if p.Status == UnknownSKU {
		return
	}
	if currency == "" {
		currency = p.Unit.Currency
	}
	if minor, ok := listed[currency]; ok {
		p.Unit = Money{Currency: currency, Minor: minor}
	}
	if p.Unit.Currency == currency {
		return
	}
	p.Unit = Money{}
	if p.Status == ForSale {
		p.Status = NoPrice
	}
}

// lines prices what is asked for. The first line that can't be had is the error.
func (s *Service) lines(ctx context.Context, ask Ask, at time.Time) ([]Line, error) {
	skus := make([]string, len(ask.Lines))
	for i, w := range ask.Lines {
		skus[i] = w.SKU
	}
	prices, err := s.lookUp(ctx, skus, ask.Currency, at)
	if err != nil {
		return nil, err
	}
	lines := make([]Line, len(prices))
	for i, p := range prices {
		switch p.Status {
		case ForSale:
		case NotForSale:
			return nil, problem.FailedPrecondition(ReasonProductNotForSale, "%q is not for sale", p.SKU)
		case NoPrice:
			return nil, problem.FailedPrecondition(ReasonCurrencyMismatch, "%q has no price in %s", p.SKU, ask.Currency)
		default:
			return nil, problem.NotFound(ReasonVariantNotFound, "no variant has the SKU %q", p.SKU)
		}
		if p.Unit.Minor < 0 || p.Unit.Minor > MaxMinor {
			return nil, problem.Internal(fmt.Errorf("the price of %q is %d", p.SKU, p.Unit.Minor))
		}
		lines[i] = Line{SKU: p.SKU, Title: p.Title, Quantity: ask.Lines[i].Quantity, Unit: p.Unit.Minor}
	}
	return lines, nil
}

// check refuses lines that can't be quoted whatever the prices are.
func check(lines []Wanted) error {
	if len(lines) == 0 || len(lines) > MaxLines {
		return problem.InvalidArgument(ReasonOutOfRange, "a quote has 1 to %d lines, not %d", MaxLines, len(lines))
	}
	seen := make(map[string]bool, len(lines))
	for _, l := range lines {
		if l.Quantity < 1 || l.Quantity > MaxQuantity {
			return problem.InvalidArgument(ReasonOutOfRange, "a quantity is 1 to %d, not %d", MaxQuantity, l.Quantity)
		}
		if seen[l.SKU] {
			return problem.InvalidArgument(ReasonDuplicateSKU, "%s is on two lines; add them up", l.SKU)
		}
		seen[l.SKU] = true
	}
	return nil
}

// storable says whether a database can hold the text: PostgreSQL stores no NUL, and no SKU has a control character.
func storable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}
