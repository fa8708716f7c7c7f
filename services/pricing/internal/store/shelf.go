package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// Shelf is a price.Shelf in a table. It is safe for concurrent use.
type Shelf[T comparable] struct {
	db *sql.DB
	// table, its key, and the column that List filters by, or "".
	table, key, filter string
	// columns are all that the table has: first the key, then those that never change, then, from mutable on, those that do.
	columns []string
	mutable int
	// values of a thing, in the order of columns; scan reads them back.
	values func(T) []any
	scan   func(scanner) (T, error)
	// missing and taken are the errors for a key that isn't there, and for a thing that can't be there twice.
	missing func(key string) error
	taken   func(T) error
}

var (
	_ price.Shelf[price.Entry]   = (*Shelf[price.Entry])(nil)
	_ price.Shelf[price.TaxRate] = (*Shelf[price.TaxRate])(nil)
	_ price.Shelf[price.Coupon]  = (*Shelf[price.Coupon])(nil)
)

// Insert implements price.Shelf.
func (s *Shelf[T]) Insert(ctx context.Context, thing T) error {
	err := data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		//nolint:gosec // the names are ours; what callers say is in args
		_, err := tx.ExecContext(ctx, "INSERT INTO "+s.table+" ("+s.list()+") VALUES "+places(1, 1, len(s.columns)), s.values(thing)...)
		return err
	})
	return s.wrap("add to", thing, err)
}

// Get implements price.Shelf.
func (s *Shelf[T]) Get(ctx context.Context, key string) (T, error) { return s.find(ctx, s.db, key) }

// List implements price.Shelf.
func (s *Shelf[T]) List(ctx context.Context, filter, after string, limit int) ([]T, error) {
	query, args := "SELECT "+s.list()+" FROM "+s.table+" WHERE "+s.key+" > $1", []any{after, limit}
	if filter != "" {
		query, args = query+" AND "+s.filter+" = $3", append(args, filter)
	}
	rows, err := s.db.QueryContext(ctx, query+" ORDER BY "+s.key+" LIMIT $2", args...)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.table, err)
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		thing, err := s.scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", s.table, err)
		}
		out = append(out, thing)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list %s: %w", s.table, err)
	}
	return out, nil
}

// Change implements price.Shelf.
func (s *Shelf[T]) Change(ctx context.Context, key string, fn func(*T) error) (T, error) {
	var after T
	err := data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		before, err := s.find(ctx, tx, key)
		if err != nil {
			return err
		}
		after = before
		if err := fn(&after); err != nil || after == before {
			return err
		}
		var sets []string
		args := []any{key}
		for i, value := range s.values(after)[s.mutable:] {
			sets = append(sets, fmt.Sprintf("%s = $%d", s.columns[s.mutable+i], i+2))
			args = append(args, value)
		}
		//nolint:gosec // the names are ours; what callers say is in args
		_, err = tx.ExecContext(ctx, "UPDATE "+s.table+" SET "+strings.Join(sets, ", ")+" WHERE "+s.key+" = $1", args...)
		return err
	})
	if err != nil {
		var none T
		return none, s.wrap("change", after, err)
	}
	return after, nil
}

// Delete implements price.Shelf.
func (s *Shelf[T]) Delete(ctx context.Context, key string, fn func(T) error) error {
	return data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		thing, err := s.find(ctx, tx, key)
		if err != nil {
			return err
		}
		if err := fn(thing); err != nil {
			return err
		}
		//nolint:gosec // the names are ours; what callers say is in args
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+s.table+" WHERE "+s.key+" = $1", key); err != nil {
			return fmt.Errorf("delete from %s: %w", s.table, err)
		}
		return nil
	})
}

func (s *Shelf[T]) list() string { return strings.Join(s.columns, ", ") }

// find reads a thing, or says that there is none.
func (s *Shelf[T]) find(ctx context.Context, q querier, key string) (T, error) {
	thing, err := s.get(ctx, q, key)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.missing(key)
	}
	return thing, err
}

// get reads a thing; sql.ErrNoRows when there is none.
func (s *Shelf[T]) get(ctx context.Context, q querier, key string) (T, error) {
	thing, err := s.scan(q.QueryRowContext(ctx, "SELECT "+s.list()+" FROM "+s.table+" WHERE "+s.key+" = $1", key))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("read %s: %w", s.table, err)
	}
	return thing, err
}

func (s *Shelf[T]) wrap(what string, thing T, err error) error {
	switch {
	case err == nil:
		return nil
	case data.IsUnique(err):
		return s.taken(thing)
	default:
		return fmt.Errorf("%s %s: %w", what, s.table, err)
	}
}
