package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// ErrNoDatabase says that a module has no database where it was looked for.
var ErrNoDatabase = errors.New("there is no such database")

// OpenReader opens the database of a module to read it, as it is: nothing is created, migrated or written, and a write through it fails.
// Migrations and Schemas are not looked at. The error is ErrNoDatabase when there is none. The caller closes it.
func OpenReader(ctx context.Context, c Config) (*sql.DB, error) {
	if !moduleName.MatchString(c.Module) {
		return nil, fmt.Errorf("open database: module name %q", c.Module)
	}
	open := readSQLite
	if c.URL != "" {
		open = readPostgres
	}
	db, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("read database of %s: %w", c.Module, err)
	}
	db.SetMaxOpenConns(4)
	if err := db.PingContext(ctx); err != nil {
		if sqlState(err) == "3D000" { // invalid_catalog_name
			err = ErrNoDatabase
		}
		return nil, errors.Join(fmt.Errorf("read database of %s: %w", c.Module, err), db.Close())
	}
	return db, nil
}

func readSQLite(c Config) (*sql.DB, error) {
	path := filepath.Join(c.Dir, c.Module+".db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoDatabase
	}
	// mode=rw, and not ro: whoever reads a write-ahead log has a lock in it, for which the file beside it may have to be made.
	q := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(10000)", "query_only(ON)"}}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
}

func readPostgres(c Config) (*sql.DB, error) {
	u, err := moduleURL(c)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("default_transaction_read_only", "on")
	u.RawQuery = q.Encode()
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		return nil, errors.New("the URL of the data isn't one that PostgreSQL's driver takes")
	}
	return db, nil
}

// Snapshot begins a transaction that sees the database as of one moment, this one, and writes nothing. The caller rolls it back. It stops
// nobody from writing.
func Snapshot(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	opts := &sql.TxOptions{ReadOnly: true}
	if isPostgres(db) {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	var n int
	table := "sqlite_master"
	if opts.Isolation != sql.LevelDefault {
		table = "pg_catalog.pg_class"
	}
	// Both engines take the snapshot at the first look at a table, not when the transaction begins.
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}
