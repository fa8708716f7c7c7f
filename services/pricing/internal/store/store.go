// Package store keeps prices, taxes, coupons and quotes in SQL, in one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the goose files of the module's database.
func Migrations() fs.FS { return files }

// Store is a price.Store in a database. It is safe for concurrent use.
type Store struct{ db *sql.DB }

var _ price.Store = (*Store)(nil)

// New makes a Store on a migrated database. It does not own db.
func New(db *sql.DB) (*Store, error) {
	if db == nil {
		return nil, errors.New("pricing: a database is needed")
	}
	return &Store{db: db}, nil
}

// Listed implements price.Store. Of several prices that hold, the one that began last is read last, and stays.
func (s *Store) Listed(ctx context.Context, skus []string, at time.Time) (map[string]map[string]int64, error) {
	found := map[string]map[string]int64{}
	if len(skus) == 0 {
		return found, nil
	}
	args := []any{at.UnixMicro()}
	for _, sku := range skus {
		args = append(args, sku)
	}
	//nolint:gosec // only placeholders are added; what callers say is in args
	rows, err := s.db.QueryContext(ctx, `SELECT sku, currency, amount FROM price
		WHERE valid_from <= $1 AND valid_until > $1 AND sku IN `+places(2, 1, len(skus))+` ORDER BY valid_from`, args...)
	if err != nil {
		return nil, fmt.Errorf("read the price list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var sku, currency string
		var amount int64
		if err := rows.Scan(&sku, &currency, &amount); err != nil {
			return nil, fmt.Errorf("read the price list: %w", err)
		}
		if found[sku] == nil {
			found[sku] = map[string]int64{}
		}
		found[sku][currency] = amount
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the price list: %w", err)
	}
	return found, nil
}

// TaxOf implements price.Store.
func (s *Store) TaxOf(ctx context.Context, country string) (price.TaxRate, bool, error) {
	return maybe(TaxRates(s.db).get(ctx, s.db, country))
}

// CouponOf implements price.Store.
func (s *Store) CouponOf(ctx context.Context, code string) (price.Coupon, bool, error) {
	return maybe(Coupons(s.db).get(ctx, s.db, code))
}

// Update implements price.Store.
func (s *Store) Update(ctx context.Context, fn func(price.Tx) error) error {
	return data.Tx(ctx, s.db, func(t *sql.Tx) error { return fn(tx{t}) })
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type scanner interface{ Scan(dest ...any) error }

// maybe turns a row that isn't there into false.
func maybe[T any](thing T, err error) (T, bool, error) {
	var none T
	if errors.Is(err, sql.ErrNoRows) {
		return none, false, nil
	}
	return thing, err == nil, err
}

// affected tells whether a statement changed a row.
func affected(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// places writes the placeholders of n rows of width columns, from $first on: ($1, $2), ($3, $4).
func places(first, n, width int) string {
	var b strings.Builder
	for i := range n * width {
		switch {
		case i == 0:
			b.WriteString("($")
		case i%width == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(first + i))
	}
	b.WriteString(")")
	return b.String()
}

// A window's open ends as the columns have them.
const (
	always  = 0
	forever = math.MaxInt64
)

func bounds(w price.Window) (from, until int64) {
	from, until = always, forever
	if !w.From.IsZero() {
		from = w.From.UnixMicro()
	}
	if !w.Until.IsZero() {
		until = w.Until.UnixMicro()
	}
	return from, until
}

func window(from, until int64) (w price.Window) {
	if from != always {
		w.From = instant(from)
	}
	if until != forever {
		w.Until = instant(until)
	}
	return w
}

func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

func stamp(created, updated, revision int64) price.Stamp {
	return price.Stamp{Created: instant(created), Updated: instant(updated), Revision: revision}
}

// bit is how a column has a truth: not every engine has a type for it.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
