// Package store keeps carts in SQL: one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the module's goose files.
func Migrations() fs.FS { return migrations }

// Store is basket.Store in SQL.
type Store struct{ db *sql.DB }

var _ basket.Store = (*Store)(nil)

// New returns a Store in db, which has the migrations applied.
func New(db *sql.DB) *Store { return &Store{db: db} }

// Create implements basket.Store.
func (s *Store) Create(ctx context.Context, c basket.Cart) error {
	err := data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO carts (id, state, create_time, update_time, customer_id, coupon_code, merged_into)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			c.ID, int64(c.State), c.Created.UnixMicro(), c.Updated.UnixMicro(), c.Customer, c.Coupon, c.MergedInto)
		if err != nil {
			return fmt.Errorf("insert cart: %w", err)
		}
		return save(ctx, tx, basket.Cart{}, nil, c)
	})
	if c.Customer == "" {
		return err
	}
	return hasCart(err)
}

// Get implements basket.Store.
func (s *Store) Get(ctx context.Context, id string) (basket.Cart, error) {
	c, _, err := read(ctx, s.db, "c.id = $1", id)
	return c, missing(id, c, err)
}

// OpenOf implements basket.Store.
func (s *Store) OpenOf(ctx context.Context, customer string) (basket.Cart, bool, error) {
	c, _, err := read(ctx, s.db, openOf, customer)
	return c, c.ID != "", err
}

// Change implements basket.Store.
func (s *Store) Change(ctx context.Context, id string, fn func(*basket.Cart) error) (after basket.Cart, err error) {
	err = s.Update(ctx, func(tx basket.Tx) error {
		c, err := tx.Get(ctx, id)
		if err != nil {
			return err
		}
		if err := fn(&c); err != nil {
			return err
		}
		after = c
		return tx.Put(ctx, c)
	})
	if err != nil {
		return basket.Cart{}, err
	}
	return after, nil
}

// takenTries is how often a transaction is run that found a customer's cart to be there which it had not seen. Then it will see it.
const takenTries = 3

// Update implements basket.Store.
func (s *Store) Update(ctx context.Context, fn func(basket.Tx) error) error {
	for try := 1; ; try++ {
		err := data.Tx(ctx, s.db, func(t *sql.Tx) error { return fn(&tx{Tx: t, read: map[string]seen{}}) })
		if !data.IsUnique(err) || try == takenTries {
			return hasCart(err)
		}
	}
}

// Erase implements basket.Store.
func (s *Store) Erase(ctx context.Context, customer string, at time.Time) error {
	err := data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM cart_items WHERE cart_id IN (SELECT id FROM carts WHERE customer_id = $1)", customer)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE carts SET customer_id = '', coupon_code = '', update_time = $1 WHERE customer_id = $2", at.UnixMicro(), customer)
		return err
	})
	if err != nil {
		return fmt.Errorf("erase a customer's carts: %w", err)
	}
	return nil
}
