package data_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
)

// A transaction in the context is joined by those on its own database. A part that fails is taken back, and what surrounds it goes on; what
// surrounds it takes everything back.
func TestTxJoinsTheOneInTheContext(t *testing.T) {
	datatest.Each(t, "bank", migrations(), func(t *testing.T, db *sql.DB) {
		add := func(ctx context.Context, id string, n int64, then error) error {
			return data.Tx(ctx, db, func(tx *sql.Tx) error {
				if _, err := tx.ExecContext(ctx, "UPDATE account SET balance = balance + $1 WHERE id = $2", n, id); err != nil {
					return err
				}
				return then
			})
		}
		refused, failed := errors.New("refused"), errors.New("failed")
		outer := func(end error) error {
			return data.Tx(t.Context(), db, func(tx *sql.Tx) error {
				ctx := data.WithTx(t.Context(), db, tx)
				if err := add(ctx, "a", 1, nil); err != nil {
					return err
				}
				if err := add(ctx, "a", 10, refused); !errors.Is(err, refused) {
					t.Errorf("got %v", err)
				}
				if err := add(ctx, "b", -2000, nil); !data.IsCheck(err) { // in PostgreSQL the transaction would be spoilt
					t.Errorf("got %v", err)
				}
				if err := add(ctx, "b", 100, nil); err != nil {
					return err
				}
				return end
			})
		}
		balances := func() (a, b int64) {
			err := db.QueryRowContext(t.Context(), `SELECT (SELECT balance FROM account WHERE id='a'), (SELECT balance FROM account WHERE id='b')`).Scan(&a, &b)
			if err != nil {
				t.Fatal(err)
			}
			return a, b
		}
		if err := outer(failed); !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		if a, b := balances(); a != 1000 || b != 1000 {
			t.Errorf("after a failure %d and %d", a, b)
		}
		if err := outer(nil); err != nil {
			t.Fatal(err)
		}
		if a, b := balances(); a != 1001 || b != 1100 {
			t.Errorf("%d and %d, want 1001 and 1100", a, b)
		}
	})
}

// A transaction of another database is none of ours: in one process there are many.
func TestTxDoesNotJoinAnotherDatabase(t *testing.T) {
	one, other := datatest.SQLite(t, "bank", migrations()), datatest.SQLite(t, "bank", migrations())
	end := errors.New("end")
	err := data.Tx(t.Context(), one, func(tx *sql.Tx) error {
		ctx := data.WithTx(t.Context(), one, tx)
		if err := data.Tx(ctx, other, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE account SET balance = 7")
			return err
		}); err != nil {
			return err
		}
		return end
	})
	if !errors.Is(err, end) {
		t.Fatal(err)
	}
	var balance int64
	if err := other.QueryRowContext(t.Context(), "SELECT balance FROM account WHERE id = 'a'").Scan(&balance); err != nil || balance != 7 {
		t.Errorf("%d, %v", balance, err)
	}
}
