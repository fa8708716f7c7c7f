package checkout

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"

	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// check refuses a quote of other goods than were asked for, or one that doesn't add up: nobody is charged by it.
func (q Quote) check(w Wanted) error {
	if len(q.Lines) != len(w.Lines) {
		return fmt.Errorf("it has %d lines of %d", len(q.Lines), len(w.Lines))
	}
	wanted := make(map[string]int64, len(w.Lines))
	for _, l := range w.Lines {
		wanted[l.SKU] = l.Quantity
	}
	subtotal, err := sale.SumOf(q.Lines)
	if err != nil {
		return err
	}
	var discount, tax, total int64
	for _, l := range q.Lines {
		if wanted[l.SKU] != l.Quantity {
			return fmt.Errorf("it has %d pieces of %q, not %d", l.Quantity, l.SKU, wanted[l.SKU])
		}
		delete(wanted, l.SKU)
		if l.Discount.Minor < 0 || l.Tax.Minor < 0 || l.Total.Minor < 0 {
			return fmt.Errorf("an amount of %q is negative", l.SKU)
		}
		discount, tax, total = discount+l.Discount.Minor, tax+l.Tax.Minor, total+l.Total.Minor
	}
	switch {
	case subtotal != q.Subtotal || discount != q.Discount.Minor || tax != q.Tax.Minor || total != q.Total.Minor:
		return errors.New("its totals aren't the sums of its lines")
	case total != subtotal.Minor-discount+tax && total != subtotal.Minor-discount: // the second when the tax is in the prices
		return errors.New("its total isn't subtotal, discount and tax")
	case total > sale.MaxMinor || q.Total.Currency != w.Currency:
		return fmt.Errorf("its total is %d %s", total, q.Total.Currency)
	}
	return nil
}

// fingerprint tells whether a request that comes again is the same one. The payment token isn't in it: a customer may take another card
// when the outcome of the first one isn't known.
func (r Request) fingerprint() string {
	h := sha256.New()
	a := r.Address
	for _, part := range []string{
		r.CartID, r.Email, a.Name, a.Line1, a.Line2, a.City, a.PostalCode, a.Country, r.Coupon, r.Expected.Currency,
		strconv.FormatInt(r.Expected.Minor, 10),
	} {
		add(h, part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// add writes a part with its length before it, so that no two lists of parts are one.
func add(h hash.Hash, part string) {
	_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash takes everything
}
