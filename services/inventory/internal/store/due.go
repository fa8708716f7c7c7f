package store

import (
	"context"
	"fmt"
	"time"
)

// Due implements stock.Store. It reads outside of a transaction: a serializable one would stand in the way of every Reserve.
func (s *Store) Due(ctx context.Context, at time.Time, skus []string, limit int) ([]string, error) {
	// The state is written out, since PostgreSQL looks for it in the condition of the index.
	query, args := "SELECT id FROM reservation WHERE state = 'reserved' AND expires_at <= $1", []any{at.UnixMicro(), limit}
	if len(skus) > 0 {
		in := make([]any, len(skus))
		for i, sku := range skus {
			in[i] = sku
		}
		query += " AND id IN (SELECT reservation_id FROM reservation_line WHERE sku IN " + places(3, 1, len(skus)) + ")"
		args = append(args, in...)
	}
	return s.texts(ctx, query+" ORDER BY expires_at, id LIMIT $2", args...)
}

// Holds implements stock.Store.
func (s *Store) Holds(ctx context.Context, id string) ([]string, error) {
	return s.texts(ctx, "SELECT sku FROM reservation_line WHERE reservation_id = $1", id)
}

// texts reads a column of text.
func (s *Store) texts(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("read reservations: %w", err)
		}
		out = append(out, text)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	return out, nil
}
