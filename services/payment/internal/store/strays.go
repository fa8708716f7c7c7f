package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cleavehq/cleave/services/payment/internal/pay"
)

// Sought implements pay.Strays.
func (s *Store) Sought(ctx context.Context, name string) (time.Time, error) {
	var at int64
	err := s.db.QueryRowContext(ctx, "SELECT sought_to FROM stray_search WHERE provider = $1", name).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return moment(at), err
}

// SetSought implements pay.Strays.
func (s *Store) SetSought(ctx context.Context, name string, to time.Time) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO stray_search (provider, sought_to) VALUES ($1, $2)
			ON CONFLICT (provider) DO UPDATE SET sought_to = excluded.sought_to`, name, micros(to))
		return err
	})
}

// Known implements pay.Strays.
func (s *Store) Known(ctx context.Context, ids []string) (map[string]bool, error) {
	known := make(map[string]bool, len(ids))
	if len(ids) == 0 {
		return known, nil
	}
	marks, args := make([]string, len(ids)), make([]any, len(ids))
	for i, id := range ids {
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), id
	}
	found, err := all(ctx, s.db, text, "SELECT id FROM payment WHERE id IN ("+strings.Join(marks, ", ")+")", args...)
	for _, id := range found {
		known[id] = true
	}
	return known, err
}

// AddStray implements pay.Strays.
func (s *Store) AddStray(ctx context.Context, name string, st pay.Stray) (added bool, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO stray_charge (provider, ref, key, order_id, currency, minor, remedy, made_at, found_at, settled_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0) ON CONFLICT (provider, ref) DO NOTHING`,
			name, st.Ref, st.Key, st.Order, st.Amount.Currency, st.Amount.Minor, string(st.Remedy), micros(st.Made), micros(st.Found))
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		added = n == 1
		return err
	})
	return added, err
}

// SetStray implements pay.Strays.
func (s *Store) SetStray(ctx context.Context, name string, st pay.Stray) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE stray_charge SET remedy = $1, settled_at = $2 WHERE provider = $3 AND ref = $4 AND settled_at = 0",
			string(st.Remedy), micros(st.Settled), name, st.Ref)
		return err
	})
}

// OpenStrays implements pay.Strays.
func (s *Store) OpenStrays(ctx context.Context, name, after string, limit int) ([]pay.Stray, error) {
	scan := func(row scanner) (pay.Stray, error) {
		var st pay.Stray
		var made, found int64
		err := row.Scan(&st.Ref, &st.Key, &st.Order, &st.Amount.Currency, &st.Amount.Minor, (*string)(&st.Remedy), &made, &found)
		st.Made, st.Found = moment(made), moment(found)
		return st, err
	}
	return all(ctx, s.db, scan, `SELECT ref, key, order_id, currency, minor, remedy, made_at, found_at FROM stray_charge
		WHERE provider = $1 AND settled_at = 0 AND ref > $2 ORDER BY ref LIMIT $3`, name, after, limit)
}

// CountStrays implements pay.Strays.
func (s *Store) CountStrays(ctx context.Context) (n int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM stray_charge WHERE settled_at = 0").Scan(&n)
	return n, err
}
