// Package store keeps customers in SQL: one text for SQLite and PostgreSQL.
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
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/services/customer/internal/account"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the module's goose files.
func Migrations() fs.FS { return migrations }

// Publish appends an event to the outbox, in a transaction.
type Publish func(ctx context.Context, tx *sql.Tx, e account.Event) error

// Store is account.Store and token.Store in SQL. It is safe for concurrent use.
type Store struct {
	reader
	db      *sql.DB
	publish Publish
}

var _ account.Store = (*Store)(nil)

// New returns a Store in db, which has the migrations applied. It does not own db.
func New(db *sql.DB, publish Publish) (*Store, error) {
	if db == nil || publish == nil {
		return nil, errors.New("customer: a database and a way to publish are needed")
	}
	return &Store{reader: reader{db}, db: db, publish: publish}, nil
}

// InTx implements account.Store.
func (s *Store) InTx(ctx context.Context, fn func(account.Tx) error) error {
	return data.Tx(ctx, s.db, func(t *sql.Tx) error { return fn(&tx{reader{t}, t, s.publish}) })
}

// tx is account.Tx.
type tx struct {
	reader
	sql     *sql.Tx
	publish Publish
}

var _ account.Tx = (*tx)(nil)

// Publish implements account.Tx.
func (t *tx) Publish(ctx context.Context, e account.Event) error { return t.publish(ctx, t.sql, e) }

// Guarded are the methods whose answers are kept for those who ask twice.
func Guarded() []string { return []string{"Customer.CreateAddress"} }

// Forget implements account.Tx.
func (t *tx) Forget(ctx context.Context, customerID string) error {
	return idempotency.Forget(ctx, t.sql, customerID, Guarded()...)
}

// do runs a statement; what says which in an error.
func (t *tx) do(ctx context.Context, what, query string, args ...any) error {
	if _, err := t.sql.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// querier is a database or a transaction in it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// reader is account.Reader.
type reader struct{ q querier }

// row reads one row into dest; ErrNone when there is none.
func (r reader) row(ctx context.Context, what, query string, args, dest []any) error {
	err := r.q.QueryRowContext(ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return account.ErrNone
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// micros is a time in the database; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// at is micros' inverse.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
