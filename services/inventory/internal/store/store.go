// Package store keeps the inventory in SQL, in one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the goose files of the module's database.
func Migrations() fs.FS { return files }

// Events writes what happened into the transaction in which it happened. Others hear of it when that has committed.
type Events interface {
	StockChanged(ctx context.Context, t *sql.Tx, st stock.Stock) error
	ReservationExpired(ctx context.Context, t *sql.Tx, id string, at time.Time) error
}

// Store is a stock.Store in a database. It is safe for concurrent use.
type Store struct {
	db     *sql.DB
	events Events
	guard  func(context.Context, *sql.Tx) error
}

var _ stock.Store = (*Store)(nil)

// New makes a Store on a migrated database. It does not own db.
func New(db *sql.DB, events Events) (*Store, error) {
	if db == nil || events == nil {
		return nil, errors.New("inventory: a database and events are needed")
	}
	return &Store{db: db, events: events, guard: func(context.Context, *sql.Tx) error { return nil }}, nil
}

// Guarded returns a Store on the same database that begins every transaction with guard, and gives it up when that fails.
func (s *Store) Guarded(guard func(context.Context, *sql.Tx) error) *Store {
	return &Store{db: s.db, events: s.events, guard: guard}
}

const columns = "sku, on_hand, reserved, updated_at"

// Stock implements stock.Store.
func (s *Store) Stock(ctx context.Context, sku string) (stock.Stock, bool, error) {
	return one(s.db.QueryRowContext(ctx, "SELECT "+columns+" FROM stock WHERE sku = $1", sku))
}

// List implements stock.Store.
func (s *Store) List(ctx context.Context, after string, limit int) ([]stock.Stock, error) {
	return all(s.db.QueryContext(ctx, "SELECT "+columns+" FROM stock WHERE sku > $1 ORDER BY sku LIMIT $2", after, limit))
}

// Update implements stock.Store.
func (s *Store) Update(ctx context.Context, fn func(stock.Tx) error) error {
	return data.Tx(ctx, s.db, func(t *sql.Tx) error {
		if err := s.guard(ctx, t); err != nil {
			return err
		}
		return fn(tx{t, s.events})
	})
}

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (stock.Stock, error) {
	var st stock.Stock
	var at int64
	err := row.Scan(&st.SKU, &st.OnHand, &st.Reserved, &at)
	st.UpdateTime = time.UnixMicro(at).UTC()
	return st, err
}

// one reads a row that may be missing.
func one(row *sql.Row) (stock.Stock, bool, error) {
	st, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		return stock.Stock{}, false, nil
	}
	if err != nil {
		return stock.Stock{}, false, fmt.Errorf("read stock: %w", err)
	}
	return st, true, nil
}

func all(rows *sql.Rows, err error) ([]stock.Stock, error) {
	if err != nil {
		return nil, fmt.Errorf("read stock: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []stock.Stock
	for rows.Next() {
		st, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read stock: %w", err)
		}
		out = append(out, st)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read stock: %w", err)
	}
	return out, nil
}
