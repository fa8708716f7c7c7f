package data_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
)

func migrations() fstest.MapFS {
	return fstest.MapFS{"migrations/00001_init.sql": {Data: []byte(`-- +goose Up
CREATE TABLE account (id TEXT PRIMARY KEY, balance BIGINT NOT NULL CHECK (balance >= 0));
INSERT INTO account VALUES ('a', 1000), ('b', 1000);
-- +goose Down
DROP TABLE account;
`)}}
}

// Two accounts, many transfers both ways: read, then write what was read. Lost updates would change the sum.
func TestTransactionsAreSerializable(t *testing.T) {
	datatest.Each(t, "bank", migrations(), func(t *testing.T, db *sql.DB) {
		ctx := context.Background()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				from, to := "a", "b"
				if i%2 == 1 {
					from, to = to, from
				}
				for range 10 {
					if err := transfer(ctx, db, from, to); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var a, b int64
		if err := db.QueryRow(`SELECT (SELECT balance FROM account WHERE id='a'), (SELECT balance FROM account WHERE id='b')`).Scan(&a, &b); err != nil {
			t.Fatal(err)
		}
		if a != 1000 || b != 1000 {
			t.Errorf("balances %d and %d after as many transfers one way as the other, want 1000 and 1000", a, b)
		}
	})
}

func transfer(ctx context.Context, db *sql.DB, from, to string) error {
	return data.Tx(ctx, db, func(tx *sql.Tx) error {
		var x, y int64
		if err := tx.QueryRowContext(ctx, `SELECT balance FROM account WHERE id=$1`, from).Scan(&x); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT balance FROM account WHERE id=$1`, to).Scan(&y); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE account SET balance=$1 WHERE id=$2`, x-1, from); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE account SET balance=$1 WHERE id=$2`, y+1, to)
		return err
	})
}

func TestConstraintsHaveNames(t *testing.T) {
	datatest.Each(t, "bank", migrations(), func(t *testing.T, db *sql.DB) {
		_, err := db.Exec(`INSERT INTO account VALUES ('a', 1)`)
		if !data.IsUnique(err) || data.IsCheck(err) {
			t.Errorf("a taken key: %v", err)
		}
		_, err = db.Exec(`UPDATE account SET balance = -1`)
		if !data.IsCheck(err) || data.IsUnique(err) {
			t.Errorf("a forbidden value: %v", err)
		}
	})
}

func TestFailedTransactionKeepsNothing(t *testing.T) {
	datatest.Each(t, "bank", migrations(), func(t *testing.T, db *sql.DB) {
		boom := errors.New("boom")
		err := data.Tx(context.Background(), db, func(tx *sql.Tx) error {
			if _, err := tx.Exec(`DELETE FROM account`); err != nil {
				return err
			}
			return fmt.Errorf("delete all: %w", boom)
		})
		if !errors.Is(err, boom) {
			t.Fatalf("got %v, want the function's own error", err)
		}
		var n int
		if err := db.QueryRow(`SELECT count(*) FROM account`).Scan(&n); err != nil || n != 2 {
			t.Errorf("%d rows (%v), want 2", n, err)
		}
	})
}

func TestManyOpenAtOnce(t *testing.T) {
	url := datatest.PostgresURL(t, "bank")
	for name, c := range map[string]data.Config{
		"sqlite": {Dir: t.TempDir(), Module: "bank"}, "postgres": {URL: url, Module: "bank"},
	} {
		c.Migrations = migrations()
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					db, err := data.Open(context.Background(), c)
					if err != nil {
						t.Error(err)
						return
					}
					if err := db.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestErrorsHideThePassword(t *testing.T) {
	for _, url := range []string{"postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@127.0.0.1:port/x", "mysql://u:hunter2@h/x"} {
		_, err := data.Open(context.Background(), data.Config{URL: url, Module: "bank"})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	db, err := data.Open(ctx, data.Config{Dir: dir, Module: "bank", Migrations: migrations()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()
	var balance int64
	err = data.Tx(ctx, db, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `UPDATE account SET balance = balance - $1 WHERE id = $2 RETURNING balance`, 100, "a").Scan(&balance)
	})
	fmt.Println(balance, err)
	// Output: 900 <nil>
}
