// Package data opens a module's own database, SQLite or PostgreSQL, and runs its transactions. The module writes one SQL text
// for both: ordinal parameters ($1), BIGINT and TEXT columns, no functions of one engine.
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
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Config says where a module's database is.
type Config struct {
	// URL of a PostgreSQL database, postgres://user:password@host/name: the module gets the database name_module beside it, which is
	// created when it isn't there. Empty for SQLite.
	URL string
	// Dir holds the SQLite file, Module.db. It is created, for the owner only, when it isn't there.
	Dir string
	// Module is the module's name: lower-case letters, digits and underscores, at most 32.
	Module string
	// Migrations are goose files, NNNNN_name.sql, in the root of the file system; nil for none.
	Migrations fs.FS
	// MaxConns is how many connections are open at most, 16 when 0.
	MaxConns int
}

// Open opens the database and brings it to the last migration. It is ready when Open returns; the caller closes it. Two
// processes that open one database at once are safe: the second waits for the first one's migrations.
//
// An error never holds the password of the URL.
func Open(ctx context.Context, c Config) (*sql.DB, error) {
	if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`).MatchString(c.Module) {
		return nil, fmt.Errorf("open database: module name %q", c.Module)
	}
	if c.MaxConns <= 0 {
		c.MaxConns = 16
	}
	open, dialect := openSQLite, database.DialectSQLite3
	if c.URL != "" {
		open, dialect = openPostgres, database.DialectPostgres
	}
	db, err := open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open database of %s: %w", c.Module, err)
	}
	if c.Migrations == nil {
		return db, nil
	}
	if err := migrate(ctx, db, dialect, c.Migrations); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate database of %s: %w", c.Module, err), db.Close())
	}
	return db, nil
}

// openSQLite opens a file with a write-ahead log, so that readers and the one writer don't block each other. Every transaction
// takes the write lock when it begins: two that read and then write can't deadlock. A commit is on disk when it returns.
func openSQLite(ctx context.Context, c Config) (*sql.DB, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
	}}
	path := filepath.Join(c.Dir, c.Module+".db")
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(c.MaxConns)
	db.SetMaxIdleConns(c.MaxConns)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func openPostgres(ctx context.Context, c Config) (*sql.DB, error) {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, errors.New("the URL of the data must be postgres://user:password@host/database") // err would show the password
	}
	base := filepath.Base(u.Path)
	if base == "/" || base == "." {
		base = "cleave"
	}
	name := base + "_" + c.Module
	if err := createDatabase(ctx, c.URL, name); err != nil {
		return nil, err
	}
	u.Path = "/" + name
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		return nil, errors.New("the URL of the data isn't one that PostgreSQL's driver takes")
	}
	db.SetMaxOpenConns(c.MaxConns)
	db.SetMaxIdleConns(c.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// createDatabase has no IF NOT EXISTS to lean on, so it asks first and forgives the race.
func createDatabase(ctx context.Context, url, name string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err // pgx hides the password
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var there bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)`, name).Scan(&there); err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	if code := sqlState(err); code == "42P04" || code == "23505" { // duplicate_database, or a unique violation inside of it
		return nil
	}
	return err
}

func migrate(ctx context.Context, db *sql.DB, dialect database.Dialect, files fs.FS) error {
	var opts []goose.ProviderOption
	if dialect == database.DialectPostgres {
		lock, err := newLocker()
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(lock))
	}
	p, err := goose.NewProvider(dialect, db, files, append(opts, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}
