package store

import (
	"database/sql"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// Entries is the price list in db, filtered by SKU.
func Entries(db *sql.DB) *Shelf[price.Entry] {
	return &Shelf[price.Entry]{
		db: db, table: "price", key: "id", filter: "sku",
		columns: []string{"id", "sku", "created_at", "currency", "amount", "valid_from", "valid_until", "updated_at", "revision"}, mutable: 3,
		values: func(e price.Entry) []any {
			from, until := bounds(e.Valid)
			return []any{
				e.ID, e.SKU, e.Created.UnixMicro(), e.Amount.Currency, e.Amount.Minor, from, until, e.Updated.UnixMicro(), e.Revision,
			}
		},
		scan: func(row scanner) (e price.Entry, err error) {
			var created, from, until, updated, revision int64
			err = row.Scan(&e.ID, &e.SKU, &created, &e.Amount.Currency, &e.Amount.Minor, &from, &until, &updated, &revision)
			e.Valid, e.Stamp = window(from, until), stamp(created, updated, revision)
			return e, err
		},
		missing: func(key string) error { return problem.NotFound(price.ReasonPriceNotFound, "no price %s", key) },
		taken: func(e price.Entry) error {
			return problem.AlreadyExists(price.ReasonPriceTaken, "%s has a price in %s from that moment on", e.SKU, e.Amount.Currency)
		},
	}
}

// TaxRates are the taxes in db.
func TaxRates(db *sql.DB) *Shelf[price.TaxRate] {
	return &Shelf[price.TaxRate]{
		db: db, table: "tax_rate", key: "country",
		columns: []string{"country", "created_at", "basis_points", "inclusive", "updated_at", "revision"}, mutable: 2,
		values: func(r price.TaxRate) []any {
			return []any{r.Country, r.Created.UnixMicro(), r.BasisPoints, bit(r.Inclusive), r.Updated.UnixMicro(), r.Revision}
		},
		scan: func(row scanner) (r price.TaxRate, err error) {
			var created, inclusive, updated, revision int64
			err = row.Scan(&r.Country, &created, &r.BasisPoints, &inclusive, &updated, &revision)
			r.Inclusive, r.Stamp = inclusive == 1, stamp(created, updated, revision)
			return r, err
		},
		missing: func(key string) error { return problem.NotFound(price.ReasonTaxRateNotFound, "%s has no tax", key) },
		taken: func(r price.TaxRate) error {
			return problem.AlreadyExists(price.ReasonTaxRateTaken, "%s has a tax", r.Country)
		},
	}
}

// Coupons are the coupons in db. What was used and reserved of one is changed by redemptions alone.
func Coupons(db *sql.DB) *Shelf[price.Coupon] {
	return &Shelf[price.Coupon]{
		db: db, table: "coupon", key: "code",
		columns: []string{
			"code", "created_at", "used", "reserved", "basis_points", "amount_currency", "amount", "minimum_currency", "minimum",
			"valid_from", "valid_until", "usage_limit", "updated_at", "revision",
		}, mutable: 4,
		values: func(c price.Coupon) []any {
			from, until := bounds(c.Valid)
			return []any{
				c.Code, c.Created.UnixMicro(), c.Used, c.Reserved, c.Off.BasisPoints, c.Off.Amount.Currency, c.Off.Amount.Minor,
				c.Minimum.Currency, c.Minimum.Minor, from, until, c.Limit, c.Updated.UnixMicro(), c.Revision,
			}
		},
		scan: func(row scanner) (c price.Coupon, err error) {
			var created, from, until, updated, revision int64
			err = row.Scan(&c.Code, &created, &c.Used, &c.Reserved, &c.Off.BasisPoints, &c.Off.Amount.Currency, &c.Off.Amount.Minor,
				&c.Minimum.Currency, &c.Minimum.Minor, &from, &until, &c.Limit, &updated, &revision)
			c.Valid, c.Stamp = window(from, until), stamp(created, updated, revision)
			return c, err
		},
		missing: func(key string) error { return problem.NotFound(price.ReasonCouponNotFound, "no coupon %s", key) },
		taken: func(c price.Coupon) error {
			return problem.AlreadyExists(price.ReasonCouponTaken, "there is a coupon %s", c.Code)
		},
	}
}
