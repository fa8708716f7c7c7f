package data_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
)

// A reader sees what is there, and changes nothing: not a row, not a table, not a file.
func TestReader(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]data.Config{
		"sqlite":   {Dir: filepath.Join(dir, "data"), Module: "bank"},
		"postgres": {URL: datatest.PostgresURL(t, "bank"), Module: "bank"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := data.OpenReader(t.Context(), c); !errors.Is(err, data.ErrNoDatabase) {
				t.Fatalf("before there was one: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "data")); err == nil && name == "sqlite" {
				t.Error("it made a folder")
			}
			c.Migrations = migrations()
			db, err := data.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			r, err := data.OpenReader(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			if _, err := r.ExecContext(t.Context(), "UPDATE account SET balance = 1"); err == nil {
				t.Error("it wrote")
			}
			snap, err := data.Snapshot(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = snap.Rollback() }()
			if err := transfer(t.Context(), db, "a", "b"); err != nil { // while the snapshot is open
				t.Fatal(err)
			}
			if before, now := sum(t, snap, "a"), sum(t, r, "a"); before != 1000 || now == 1000 {
				t.Errorf("the snapshot sees %d, a later look %d", before, now)
			}
		})
	}
}

func sum(t *testing.T, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, id string,
) (n int64) {
	t.Helper()
	if err := q.QueryRowContext(t.Context(), "SELECT balance FROM account WHERE id = $1", id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
