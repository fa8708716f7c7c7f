package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// attempts bounds how often a transaction that lost against another one is run.
const attempts = 20

// Tx runs fn in a serializable transaction, and commits when fn returns nil. When the database says that it lost against another
// transaction, fn runs again, at most 20 times, with a short random wait between: fn must do nothing but SQL on tx, and set what
// it returns anew each time. On any other error, or when ctx ends, it rolls back and returns the error, so that errors.As finds fn's.
//
// When ctx carries a transaction of db ([WithTx]), fn runs in that one, once: whoever began it commits, or runs all of it again. When fn
// fails, what it wrote is taken back, and what was written before it stays.
//
// SQLite: BEGIN IMMEDIATE, one writer at a time. PostgreSQL: SERIALIZABLE,
// https://www.postgresql.org/docs/current/transaction-iso.html#XACT-SERIALIZABLE.
func Tx(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	if tx := joined(ctx, db); tx != nil {
		return within(ctx, tx, fn)
	}
	opts := &sql.TxOptions{}
	if isPostgres(db) {
		opts.Isolation = sql.LevelSerializable
	}
	wait := 2 * time.Millisecond
	for n := 1; ; n++ {
		err := once(ctx, db, opts, fn)
		if err == nil {
			committed(db)
			return nil
		}
		if !lost(err) {
			return err
		}
		if n == attempts {
			return fmt.Errorf("transaction lost %d times against others: %w", n, err)
		}
		pause := time.NewTimer(wait + rand.N(wait)) //nolint:gosec // jitter, not a secret
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
		wait = min(2*wait, 100*time.Millisecond)
	}
}

type txKey struct{}

type carried struct {
	db *sql.DB
	tx *sql.Tx
}

// WithTx returns ctx with tx, a transaction of db, in it: a [Tx] on db with that ctx joins it. It is for code that wraps other code in one
// transaction; ctx must not be used after tx has ended.
func WithTx(ctx context.Context, db *sql.DB, tx *sql.Tx) context.Context {
	return context.WithValue(ctx, txKey{}, carried{db, tx})
}

// joined is the transaction of db that ctx carries, or nil.
func joined(ctx context.Context, db *sql.DB) *sql.Tx {
	if c, ok := ctx.Value(txKey{}).(carried); ok && c.db == db {
		return c.tx
	}
	return nil
}

// within runs fn in a part of a transaction.
func within(ctx context.Context, tx *sql.Tx, fn func(tx *sql.Tx) error) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		if _, back := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT part"); back != nil {
			return errors.Join(err, back)
		}
		return err
	}
	_, err := tx.ExecContext(ctx, "RELEASE SAVEPOINT part")
	return err
}

func once(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing; after a panic it frees the connection
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// lost reports whether the database gave the transaction up in favour of another: nothing of it was kept.
func lost(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return true
	}
	code := sqliteCode(err) & 0xff // the primary result code, https://www.sqlite.org/rescode.html
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

// IsUnique reports whether err says that a unique key is taken.
func IsUnique(err error) bool {
	code := sqliteCode(err)
	return sqlState(err) == "23505" || code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// IsCheck reports whether err says that a CHECK constraint forbids the row.
func IsCheck(err error) bool {
	return sqlState(err) == "23514" || sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_CHECK
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// newLocker makes migrations of one PostgreSQL database wait for each other.
func newLocker() (lock.SessionLocker, error) { return lock.NewPostgresSessionLocker() }
