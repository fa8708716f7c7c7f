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
	// Migrations are goose files, migrations/NNNNN_name.sql; nil for none.
	Migrations fs.FS
	// Schemas are tables that packages of the chassis keep in the module's database; they are migrated before Migrations.
	Schemas []Schema
	// MaxConns is how many connections are open at most, 8 when 0: ten modules in one process are content with the 100 of a PostgreSQL that nobody configured.
	MaxConns int
}

// Schema is a set of tables with migrations of its own, beside the module's.
type Schema struct {
	// Name tells schemas apart: lower-case letters, digits and underscores. goose keeps its version in the table cleave_NAME_version.
	Name string
	// Files are goose files, migrations/NNNNN_name.sql.
	Files fs.FS
}

var moduleName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// Open opens the database and brings it to the last migration. It is ready when Open returns; the caller closes it. Two
// processes that open one database at once are safe: the second waits for the first one's migrations.
//
// An error never holds the password of the URL.
func Open(ctx context.Context, c Config) (*sql.DB, error) {
	if !moduleName.MatchString(c.Module) {
		return nil, fmt.Errorf("open database: module name %q", c.Module)
	}
	for _, s := range c.Schemas {
		if !moduleName.MatchString(s.Name) || s.Files == nil {
			return nil, fmt.Errorf("open database of %s: schema %q needs a name and files", c.Module, s.Name)
		}
	}
	if c.MaxConns <= 0 {
		c.MaxConns = 8
	}
	open, dialect := openSQLite, database.DialectSQLite3
	if c.URL != "" {
		open, dialect = openPostgres, database.DialectPostgres
	}
	db, err := open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open database of %s: %w", c.Module, err)
	}
	for _, s := range c.Schemas {
		if err := migrate(ctx, db, dialect, s.Files, goose.WithTableName("cleave_"+s.Name+"_version")); err != nil {
			return nil, errors.Join(fmt.Errorf("migrate %s in the database of %s: %w", s.Name, c.Module, err), db.Close())
		}
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
	db, err := openDB("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
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

// moduleURL is the URL of the module's database.
func moduleURL(c Config) (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, errors.New("the URL of the data must be postgres://user:password@host/database") // err would show the password
	}
	base := filepath.Base(u.Path)
	if base == "/" || base == "." {
		base = "cleave"
	}
	u.Path = "/" + base + "_" + c.Module
	return u, nil
}

func openPostgres(ctx context.Context, c Config) (*sql.DB, error) {
	u, err := moduleURL(c)
	if err != nil {
		return nil, err
	}
	if err := createDatabase(ctx, c.URL, filepath.Base(u.Path)); err != nil {
		return nil, err
	}
	db, err := openDB("pgx", u.String())
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

// migrateAttempts is how often a SQLite file is migrated before its error is believed: each failure means that another process got one
// migration further, or that the migration is wrong.
const migrateAttempts = 10

func migrate(ctx context.Context, db *sql.DB, dialect database.Dialect, files fs.FS, opts ...goose.ProviderOption) error {
	if dialect == database.DialectPostgres {
		lock, err := newLocker()
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(lock))
	}
	files, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, files, append(opts, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		_, err = p.Up(ctx)
		if err == nil || dialect != database.DialectSQLite3 || try == migrateAttempts || ctx.Err() != nil {
			return err
		}
		// SQLite has no lock that outlasts a transaction, so another process may have run the same migration between goose's look and
		// its own try, which then failed as a whole. By now the other one has committed: look again.
	}
}
