package verify_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/verify"
)

func tables() fstest.MapFS {
	return fstest.MapFS{"migrations/00001_stock.sql": {Data: []byte(
		"-- +goose Up\nCREATE TABLE stock (sku TEXT PRIMARY KEY, on_hand BIGINT NOT NULL, at BIGINT NOT NULL);\n",
	)}}
}

func checks() []verify.Check {
	return []verify.Check{
		{Name: "not_negative", Law: "on_hand is not negative", SQL: "SELECT sku, on_hand FROM stock WHERE on_hand < 0 ORDER BY sku"},
		{Name: "not_ahead", Law: "nothing happened in the future", SQL: "SELECT sku FROM stock WHERE at > $1"},
	}
}

func exec(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenLawsAreTold(t *testing.T) {
	datatest.Each(t, "stock", tables(), func(t *testing.T, db *sql.DB) {
		now := func() time.Time { return time.UnixMicro(100) }
		c := verify.Config{Modules: []verify.Module{{Name: "inventory", DB: db, Checks: checks()}}, Show: 2, Now: now}
		exec(t, db, "INSERT INTO stock VALUES ('A', 1, 100)")
		got, err := verify.Run(t.Context(), c)
		if err != nil || len(got) != 2 || verify.Broken(got) != 0 || got[0].Check != "inventory.not_negative" || got[0].Law != "on_hand is not negative" {
			t.Fatalf("%+v, %v", got, err)
		}
		exec(t, db, "INSERT INTO stock VALUES ('B', -1, 0), ('C', -2, 0), ('D', -3, 101)")
		got, err = verify.Run(t.Context(), c)
		if err != nil || verify.Broken(got) != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		if want := []string{"sku=B on_hand=-1", "sku=C on_hand=-2"}; got[0].Broken != 3 || !reflect.DeepEqual(got[0].Cases, want) {
			t.Errorf("%+v, want 3 and %q", got[0], want)
		}
		if got[1].Broken != 1 || got[1].Cases[0] != "sku=D" {
			t.Errorf("%+v", got[1])
		}
	})
}

// A law that is broken for a moment counts when the moment is too long.
func TestWhatIsUnderWayMayEnd(t *testing.T) {
	db := datatest.SQLite(t, "stock", tables())
	exec(t, db, "INSERT INTO stock VALUES ('A', -1, 0)")
	looks := 0
	c := verify.Config{
		Modules: []verify.Module{{Name: "inventory", DB: db, Checks: checks()}}, Wait: time.Minute, Every: time.Millisecond,
		Now: func() time.Time { // is asked in each look
			if looks++; looks == 6 {
				exec(t, db, "UPDATE stock SET on_hand = 0")
			}
			return time.UnixMicro(100)
		},
	}
	if got, err := verify.Run(t.Context(), c); err != nil || verify.Broken(got) != 0 || looks < 6 {
		t.Errorf("after %d looks: %+v, %v", looks, got, err)
	}
	exec(t, db, "UPDATE stock SET on_hand = -1")
	c.Wait = 20 * time.Millisecond
	if got, err := verify.Run(t.Context(), c); err != nil || verify.Broken(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c.Wait = time.Minute
	if _, err := verify.Run(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with its context ended: %v", err)
	}
}

func TestLawsAcrossModules(t *testing.T) {
	datatest.Each(t, "stock", tables(), func(t *testing.T, db *sql.DB) {
		other := datatest.SQLite(t, "other", tables())
		exec(t, db, "INSERT INTO stock VALUES ('A', 1, 0), ('B', 2, 0)")
		exec(t, other, "INSERT INTO stock VALUES ('A', 1, 0)")
		same := verify.Across{
			Name: "same", Law: "both have the same", Modules: []string{"one", "other"},
			Find: func(ctx context.Context, v verify.View, report verify.Report) error {
				var n, m int
				if err := v["one"].QueryRowContext(ctx, "SELECT COUNT(*) FROM stock").Scan(&n); err != nil {
					return err
				}
				if err := v["other"].QueryRowContext(ctx, "SELECT COUNT(*) FROM stock").Scan(&m); err != nil {
					return err
				}
				if n != m {
					report("%d and %d", n, m)
				}
				return nil
			},
		}
		absent := same
		absent.Modules = []string{"one", "nowhere"}
		c := verify.Config{Modules: []verify.Module{{Name: "one", DB: db}, {Name: "other", DB: other}}, Across: []verify.Across{same, absent}}
		got, err := verify.Run(t.Context(), c)
		if err != nil || len(got) != 1 || got[0].Check != "same" || got[0].Broken != 1 || got[0].Cases[0] != "2 and 1" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestAQueryThatFailsIsNoLawThatHolds(t *testing.T) {
	db := datatest.SQLite(t, "stock", tables())
	c := verify.Config{Modules: []verify.Module{{Name: "one", DB: db, Checks: []verify.Check{{Name: "typo", SQL: "SELECT 1 FROM stok"}}}}}
	if got, err := verify.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "one.typo") {
		t.Errorf("%+v, %v", got, err)
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "verify")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	conf := data.Config{Dir: dir, Module: "inventory", Migrations: tables()}
	db, err := data.Open(ctx, conf)
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, "INSERT INTO stock VALUES ('MUG', -2, 0)"); err != nil {
		panic(err)
	}
	reader, err := data.OpenReader(ctx, conf)
	if err != nil {
		panic(err)
	}
	defer func() { _ = reader.Close() }()
	results, err := verify.Run(ctx, verify.Config{Modules: []verify.Module{{Name: "inventory", DB: reader, Checks: checks()}}})
	if err != nil {
		panic(err)
	}
	for _, r := range results {
		fmt.Println(r.Check, r.Broken, r.Cases)
	}
	// Output:
	// inventory.not_negative 1 [sku=MUG on_hand=-2]
	// inventory.not_ahead 0 []
}
