package store_test

import (
	"database/sql"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/services/inventory/internal/store"
)

// A warehouse that was there before the ledger has one that sums, and keeps its reservations.
func TestAnOldWarehouseGetsALedger(t *testing.T) {
	first, err := fs.ReadFile(store.Migrations(), "migrations/00001_inventory.sql")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]data.Config{
		"sqlite":   {Dir: t.TempDir(), Module: "inventory"},
		"postgres": {URL: datatest.PostgresURL(t, "inventory"), Module: "inventory"},
	} {
		t.Run(name, func(t *testing.T) {
			open := func(files fs.FS) *sql.DB {
				c.Migrations = files
				db, err := data.Open(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				return db
			}
			run := func(db *sql.DB, query string) {
				t.Helper()
				if _, err := db.ExecContext(t.Context(), query); err != nil {
					t.Fatal(err)
				}
			}
			db := open(fstest.MapFS{"migrations/00001_inventory.sql": {Data: first}})
			run(db, "INSERT INTO stock VALUES ('a', 7, 2, 5), ('b', 0, 0, 6)")
			run(db, "INSERT INTO reservation VALUES ('one', 'reserved', 5, 5), ('two', 'committed', 1, 1)")
			run(db, "INSERT INTO reservation_line VALUES ('one', 'a', 2), ('two', 'a', 1)")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(store.Migrations())
			defer func() { _ = db.Close() }()
			var sums, entries, due, lines int64
			err := db.QueryRowContext(t.Context(), `SELECT (SELECT SUM(delta) FROM stock_ledger WHERE sku = 'a'), (SELECT COUNT(*) FROM stock_ledger),
				(SELECT expires_at FROM reservation WHERE id = 'one' AND state = 'reserved'), (SELECT COUNT(*) FROM reservation_line)`).
				Scan(&sums, &entries, &due, &lines)
			if err != nil || sums != 7 || entries != 1 || due != 900_000_005 || lines != 2 {
				t.Errorf("%d, %d, %d, %d, %v", sums, entries, due, lines, err)
			}
			run(db, "UPDATE reservation SET state = 'expired' WHERE id = 'one'")
			if _, err := db.ExecContext(t.Context(), "INSERT INTO reservation_line VALUES ('none', 'a', 1)"); err == nil {
				t.Error("a line without a reservation was taken")
			}
		})
	}
}
