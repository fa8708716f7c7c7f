package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

const quoteColumns = `id, currency, country, coupon, tax_basis_points, tax_inclusive, subtotal, discount, tax, total,
	created_at, expires_at, request_id, asked`

// Quote implements price.Store. A quote is written once, so that its row and its lines may be read one after the other.
func (s *Store) Quote(ctx context.Context, id string) (price.Quote, error) {
	q, err := findQuote(ctx, s.db, id)
	if err != nil {
		return price.Quote{}, err
	}
	return s.withLines(ctx, q)
}

// QuoteAsked implements price.Store.
func (s *Store) QuoteAsked(ctx context.Context, requestID string) (price.Quote, bool, error) {
	q, found, err := maybe(scanQuote(s.db.QueryRowContext(ctx, "SELECT "+quoteColumns+" FROM quote WHERE request_id = $1", requestID)))
	if err != nil || !found {
		return price.Quote{}, false, err
	}
	q, err = s.withLines(ctx, q)
	return q, err == nil, err
}

// AddQuote implements price.Store.
func (s *Store) AddQuote(ctx context.Context, q price.Quote) (added bool, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		added, err = affected(tx.ExecContext(ctx, "INSERT INTO quote ("+quoteColumns+") VALUES "+places(1, 1, 14)+
			" ON CONFLICT (request_id) WHERE request_id <> '' DO NOTHING",
			q.ID, q.Currency, q.Country, q.Coupon, q.Tax.BasisPoints, bit(q.Tax.Inclusive), q.Total.Subtotal, q.Total.Discount, q.Total.Tax,
			q.Total.Total, q.Created.UnixMicro(), q.Expires.UnixMicro(), q.RequestID, q.Asked))
		if err != nil || !added {
			return err
		}
		const width = 10
		args := make([]any, 0, width*len(q.Lines))
		for i, l := range q.Lines {
			args = append(args, q.ID, int64(i), l.SKU, l.Title, l.Quantity, l.Unit, l.Subtotal, l.Discount, l.Tax, l.Total)
		}
		//nolint:gosec // only placeholders are added; what callers say is in args
		_, err = tx.ExecContext(ctx, `INSERT INTO quote_line (quote_id, position, sku, title, quantity, unit, subtotal, discount, tax, total)
			VALUES `+places(1, len(q.Lines), width), args...)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("write a quote: %w", err)
	}
	return added, nil
}

// Forget deletes up to limit quotes that expired before a moment, in the caller's transaction, and says how many.
func Forget(ctx context.Context, t *sql.Tx, before time.Time, limit int) (int, error) {
	const old = "(SELECT id FROM quote WHERE expires_at < $1 ORDER BY expires_at, id LIMIT $2)"
	if _, err := t.ExecContext(ctx, "DELETE FROM quote_line WHERE quote_id IN "+old, before.UnixMicro(), limit); err != nil {
		return 0, fmt.Errorf("forget quotes: %w", err)
	}
	r, err := t.ExecContext(ctx, "DELETE FROM quote WHERE id IN "+old, before.UnixMicro(), limit)
	if err != nil {
		return 0, fmt.Errorf("forget quotes: %w", err)
	}
	n, err := r.RowsAffected()
	return int(n), err
}

func findQuote(ctx context.Context, from querier, id string) (price.Quote, error) {
	q, err := scanQuote(from.QueryRowContext(ctx, "SELECT "+quoteColumns+" FROM quote WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		err = problem.NotFound(price.ReasonQuoteNotFound, "no quote %s", id)
	}
	return q, err
}

func scanQuote(row scanner) (q price.Quote, err error) {
	var inclusive, created, expires int64
	err = row.Scan(&q.ID, &q.Currency, &q.Country, &q.Coupon, &q.Tax.BasisPoints, &inclusive, &q.Total.Subtotal, &q.Total.Discount,
		&q.Total.Tax, &q.Total.Total, &created, &expires, &q.RequestID, &q.Asked)
	if err != nil {
		return price.Quote{}, fmt.Errorf("read a quote: %w", err)
	}
	q.Tax.Country, q.Tax.Inclusive = q.Country, inclusive == 1
	q.Created, q.Expires = instant(created), instant(expires)
	return q, nil
}

func (s *Store) withLines(ctx context.Context, q price.Quote) (price.Quote, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT sku, title, quantity, unit, subtotal, discount, tax, total
		FROM quote_line WHERE quote_id = $1 ORDER BY position`, q.ID)
	if err != nil {
		return price.Quote{}, fmt.Errorf("read the lines of a quote: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var l price.Line
		if err := rows.Scan(&l.SKU, &l.Title, &l.Quantity, &l.Unit, &l.Subtotal, &l.Discount, &l.Tax, &l.Total); err != nil {
			return price.Quote{}, fmt.Errorf("read the lines of a quote: %w", err)
		}
		q.Lines = append(q.Lines, l)
	}
	if err := rows.Err(); err != nil {
		return price.Quote{}, fmt.Errorf("read the lines of a quote: %w", err)
	}
	return q, nil
}
