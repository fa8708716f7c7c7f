package store_test

import (
	"context"
	"database/sql"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/services/order/internal/sale"
	"github.com/cleavehq/cleave/services/order/internal/store"
)

// TestOrdersOfTheVersionBefore are kept, and what was left lying is due.
func TestOrdersOfTheVersionBefore(t *testing.T) {
	first, err := fs.ReadFile(store.Migrations(), "migrations/00001_orders.sql")
	if err != nil {
		t.Fatal(err)
	}
	old := fstest.MapFS{"migrations/00001_orders.sql": {Data: first}}
	url := datatest.PostgresURL(t, "order")
	for name, c := range map[string]data.Config{"sqlite": {Dir: t.TempDir(), Module: "order"}, "postgres": {URL: url, Module: "order"}} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			open := func(migrations fs.FS) *sql.DB {
				c.Migrations = migrations
				db, err := data.Open(ctx, c)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = db.Close() })
				return db
			}
			before := open(old)
			for id, state := range map[string]string{"a": "PAID", "b": "RESERVED", "c": "CANCELLED", "d": "PENDING", "e": "CONFIRMED"} {
				given, code := 0, 0
				if id == "c" || id == "d" {
					given, code = 1, int(codes.FailedPrecondition)
				}
				if _, err := before.Exec(`INSERT INTO orders VALUES ($1, NULL, $2, $3, $4, $5, $6, 'OUT_OF_STOCK', 'none left', 'p', 'USD', 14,
					'a@b.c', 'n', '1', '2', 'c', 'z', 'GB', 1000, 2000)`, id, "cart", "live "+id, state, given, code); err != nil {
					t.Fatal(err)
				}
				if _, err := before.Exec(`INSERT INTO order_lines VALUES ($1, 0, 'MUG', 'Mug', 2, 'USD', 7)`, id); err != nil {
					t.Fatal(err)
				}
			}
			told := &teller{}
			s := keeper{store.New(open(store.Migrations()), told.tell), told, nil}
			for id, want := range map[string]struct {
				due, promised, given bool
				captured             int64
			}{
				"a": {false, true, false, 14}, "b": {true, false, false, 0}, "c": {false, false, true, 0}, "d": {true, false, true, 0},
				"e": {true, true, false, 0},
			} {
				o, err := s.Get(ctx, id)
				if err != nil || o.Next.IsZero() == want.due || o.Promised != want.promised || o.GivenUp() != want.given || o.Captured != usd(want.captured) ||
					len(o.Lines) != 1 || o.Lines[0].Total != usd(14) || o.Subtotal != usd(14) {
					t.Errorf("%s: %+v, %v", id, o, err)
				}
				if history, err := s.History(ctx, id); err != nil || len(history) != 1 || history[0].To != o.State {
					t.Errorf("%s: %+v, %v", id, history, err)
				}
			}
			o, err := s.Get(ctx, "e")
			if err != nil {
				t.Fatal(err)
			}
			must(t, o.Claim(time.Now().UTC().Truncate(time.Microsecond), time.Second))
			must(t, o.Capture(at()))
			s.save(ctx, t, &o)
			if o.State != sale.Paid {
				t.Errorf("%+v", o)
			}
		})
	}
}
