// Package datatest gives a test a new, empty, migrated database of each engine.
package datatest

import (
	"context"
	"database/sql"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cleavehq/cleave/chassis/data"
)

// Each runs fn once on SQLite and once on PostgreSQL, as subtests. CLEAVE_TEST_POSTGRES says where PostgreSQL is; without it the
// local server's "postgres" user is tried. A server that doesn't answer fails the test. The databases are gone afterwards.
// schemas are tables of the chassis, such as outbox.Schema(), beside the module's.
func Each(t *testing.T, module string, migrations fs.FS, fn func(t *testing.T, db *sql.DB), schemas ...data.Schema) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t, module, migrations, schemas...)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t, module, migrations, schemas...)) })
}

// SQLite opens a database in the test's own folder.
func SQLite(t testing.TB, module string, migrations fs.FS, schemas ...data.Schema) *sql.DB {
	t.Helper()
	return open(t, data.Config{Dir: t.TempDir(), Module: module, Migrations: migrations, Schemas: schemas})
}

// Postgres creates a database with a name of its own, and drops it afterwards.
func Postgres(t testing.TB, module string, migrations fs.FS, schemas ...data.Schema) *sql.DB {
	t.Helper()
	return open(t, data.Config{URL: PostgresURL(t, module), Module: module, Migrations: migrations, Schemas: schemas})
}

// PostgresURL returns a URL for data.Config whose databases of the modules are dropped when the test ends.
func PostgresURL(t testing.TB, modules ...string) string {
	t.Helper()
	server := os.Getenv("CLEAVE_TEST_POSTGRES")
	if server == "" {
		server = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("CLEAVE_TEST_POSTGRES isn't a URL")
	}
	base := "test_" + strings.ReplaceAll(uuid.NewString()[:18], "-", "")
	t.Cleanup(func() { drop(t, server, base, modules) })
	u.Path = "/" + base
	// The server's own database is the one to connect to while base doesn't exist; createDatabase needs any that is there.
	ensure(t, server, base)
	return u.String()
}

func ensure(t testing.TB, server, name string) {
	t.Helper()
	exec(t, server, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
}

func drop(t testing.TB, server, base string, modules []string) {
	for _, m := range modules {
		exec(t, server, "DROP DATABASE IF EXISTS "+pgx.Identifier{base + "_" + m}.Sanitize()+" WITH (FORCE)")
	}
	exec(t, server, "DROP DATABASE IF EXISTS "+pgx.Identifier{base}.Sanitize()+" WITH (FORCE)")
}

func exec(t testing.TB, server, query string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("PostgreSQL of CLEAVE_TEST_POSTGRES doesn't answer (start it, or set the variable): %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func open(t testing.TB, c data.Config) *sql.DB {
	t.Helper()
	db, err := data.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
