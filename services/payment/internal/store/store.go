// Package store keeps the payments, their refunds and the ledger in SQL, in one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/payment/internal/pay"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the goose files of the module's database.
func Migrations() fs.FS { return files }

// Announce writes an event of a payment that has changed into the transaction of the change.
type Announce func(ctx context.Context, tx *sql.Tx, p pay.Payment) error

// Store is a pay.Store in a database. It is safe for concurrent use.
type Store struct {
	db       *sql.DB
	announce Announce
	guard    func(context.Context, *sql.Tx) error
}

var _ pay.Store = (*Store)(nil)

// New makes a Store on a migrated database. It does not own db.
func New(db *sql.DB, announce Announce) (*Store, error) {
	if db == nil || announce == nil {
		return nil, errors.New("payment: a database and a way to announce changes are needed")
	}
	return &Store{db: db, announce: announce}, nil
}

// Guarded returns a Store on the same database each of whose transactions begins with guard, and is not made when it fails.
func (s *Store) Guarded(guard func(context.Context, *sql.Tx) error) *Store {
	return &Store{db: s.db, announce: s.announce, guard: guard}
}

func (s *Store) tx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		if s.guard != nil {
			if err := s.guard(ctx, tx); err != nil {
				return err
			}
		}
		return fn(tx)
	})
}

// Payment implements pay.Store.
func (s *Store) Payment(ctx context.Context, id string) (pay.Payment, bool, error) {
	return one(ctx, s.db, "id", id)
}

// ByOrder implements pay.Store.
func (s *Store) ByOrder(ctx context.Context, orderID string) (pay.Payment, bool, error) {
	return one(ctx, s.db, "order_id", orderID)
}

// List implements pay.Store.
func (s *Store) List(ctx context.Context, before pay.Cursor, limit int, orderID string) ([]pay.Payment, error) {
	at := int64(math.MaxInt64)
	if before != (pay.Cursor{}) {
		at = before.CreateTime.UnixMicro()
	}
	query := "SELECT " + columns + " FROM payment WHERE (created_at < $1 OR (created_at = $1 AND id < $2))"
	args := []any{at, before.ID, limit}
	if orderID != "" {
		query += " AND order_id = $4"
		args = append(args, orderID)
	}
	out, err := all(ctx, s.db, scan, query+" ORDER BY created_at DESC, id DESC LIMIT $3", args...)
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	return out, withRefunds(ctx, s.db, out)
}

// Open implements pay.Store.
func (s *Store) Open(ctx context.Context, p pay.Payment) (pay.Payment, error) {
	var there pay.Payment
	err := s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO payment (id, order_id, state, currency, minor, due_at, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (order_id) DO NOTHING`,
			p.ID, p.OrderID, string(p.State), p.Amount.Currency, p.Amount.Minor, micros(pay.Due(p)), micros(p.CreateTime), micros(p.UpdateTime))
		if err != nil {
			return fmt.Errorf("write a payment: %w", err)
		}
		var ok bool
		there, ok, err = one(ctx, tx, "order_id", p.OrderID)
		if err == nil && !ok {
			err = fmt.Errorf("the payment of order %s is there and is not", p.OrderID)
		}
		return err
	})
	return there, err
}

// Apply implements pay.Store.
func (s *Store) Apply(ctx context.Context, c pay.Change) (pay.Payment, bool, error) {
	var p pay.Payment
	var done bool
	err := s.tx(ctx, func(tx *sql.Tx) error {
		before, err := get(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		if p, done = c.On(before); !done {
			return nil
		}
		return s.write(ctx, tx, before, p, string(p.State))
	})
	if err != nil {
		return pay.Payment{}, false, err
	}
	return p, done, nil
}
