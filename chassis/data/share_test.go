package data_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
)

func schema(name string) data.Schema {
	return data.Schema{Name: name, Files: fstest.MapFS{"migrations/00001_init.sql": {Data: []byte(
		"-- +goose Up\nCREATE TABLE " + name + " (n BIGINT NOT NULL);\n",
	)}}}
}

// A schema has its own versions: its first migration and the module's are both the first.
func TestSchemasAreBesideTheModulesTables(t *testing.T) {
	datatest.Each(t, "bank", migrations(), func(t *testing.T, db *sql.DB) {
		for _, table := range []string{"account", "notes", "marks", "cleave_notes_version", "cleave_marks_version", "goose_db_version"} {
			if _, err := db.Exec("SELECT * FROM " + table); err != nil {
				t.Error(err)
			}
		}
	}, schema("notes"), schema("marks"))
}

// A database that was there before gets the schema when it is opened the next time, and keeps what it has.
func TestASchemaComesLater(t *testing.T) {
	url := datatest.PostgresURL(t, "bank")
	for name, c := range map[string]data.Config{
		"sqlite": {Dir: t.TempDir(), Module: "bank"}, "postgres": {URL: url, Module: "bank"},
	} {
		t.Run(name, func(t *testing.T) {
			c.Migrations = migrations()
			for range 3 {
				db, err := data.Open(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				var n int
				if err := errors.Join(db.QueryRow(`SELECT COUNT(*) FROM account`).Scan(&n), db.Close()); err != nil || n != 2 {
					t.Errorf("%d accounts, %v", n, err)
				}
				c.Schemas = []data.Schema{schema("notes")}
			}
		})
	}
}

func TestSchemasAreChecked(t *testing.T) {
	for _, s := range []data.Schema{{}, {Name: "notes"}, {Name: "No", Files: fs.FS(fstest.MapFS{})}, {Name: "x; DROP", Files: fs.FS(fstest.MapFS{})}} {
		if _, err := data.Open(t.Context(), data.Config{Dir: t.TempDir(), Module: "bank", Schemas: []data.Schema{s}}); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

func balance(t *testing.T, db *sql.DB) (n int64) {
	t.Helper()
	if err := db.QueryRow(`SELECT balance FROM account WHERE id = 'a'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestATransactionIsJoined(t *testing.T) {
	datatest.Each(t, "bank", migrations(), func(t *testing.T, db *sql.DB) {
		take := func(ctx context.Context) error {
			return data.Tx(ctx, db, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, `UPDATE account SET balance = balance - 100 WHERE id = 'a'`)
				return err
			})
		}
		boom := errors.New("boom")
		err := data.Tx(t.Context(), db, func(tx *sql.Tx) error {
			return errors.Join(take(data.WithTx(t.Context(), db, tx)), boom)
		})
		if !errors.Is(err, boom) || balance(t, db) != 1000 {
			t.Errorf("%v, and %d are left: what joined was not undone", err, balance(t, db))
		}
		err = data.Tx(t.Context(), db, func(tx *sql.Tx) error {
			ctx := data.WithTx(t.Context(), db, tx)
			return errors.Join(take(ctx), take(ctx))
		})
		if err != nil || balance(t, db) != 800 {
			t.Errorf("%v, and %d are left, want 800", err, balance(t, db))
		}
		// Another database's transaction is none to join.
		other := datatest.SQLite(t, "other", migrations())
		err = data.Tx(t.Context(), other, func(tx *sql.Tx) error {
			return errors.Join(take(data.WithTx(t.Context(), other, tx)), boom)
		})
		if !errors.Is(err, boom) || balance(t, db) != 700 || balance(t, other) != 1000 {
			t.Errorf("%v, %d and %d are left, want 700 and 1000", err, balance(t, db), balance(t, other))
		}
	})
}

func TestCommitsAreHeard(t *testing.T) {
	datatest.Each(t, "bank", migrations(), func(t *testing.T, db *sql.DB) {
		var heard, more atomic.Int64
		stop := data.OnCommit(db, func() { heard.Add(1) })
		defer data.OnCommit(db, func() { more.Add(1) })()
		commit := func(err error) {
			_ = data.Tx(t.Context(), db, func(tx *sql.Tx) error {
				// What joins doesn't commit.
				return errors.Join(data.Tx(data.WithTx(t.Context(), db, tx), db, func(*sql.Tx) error { return nil }), err)
			})
		}
		commit(nil)
		commit(errors.New("no"))
		if heard.Load() != 1 {
			t.Errorf("heard %d commits, want 1", heard.Load())
		}
		stop()
		commit(nil)
		if heard.Load() != 1 || more.Load() != 2 {
			t.Errorf("heard %d and %d commits, want 1 and 2", heard.Load(), more.Load())
		}
		foreign, err := sql.Open("sqlite", ":memory:")
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		defer data.OnCommit(foreign, func() { t.Error("heard a database that Open didn't open") })()
		if err := data.Tx(t.Context(), foreign, func(*sql.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
	})
}
