package store_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/services/order/internal/rpc"
	"github.com/cleavehq/cleave/services/order/internal/sale"
	"github.com/cleavehq/cleave/services/order/internal/store"
)

// BenchmarkOrder is what the order module writes for one checkout: the new order, and its three steps with their events.
func BenchmarkOrder(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *sql.DB{
		"sqlite":   func(b testing.TB) *sql.DB { return datatest.SQLite(b, "order", store.Migrations(), outbox.Schema()) },
		"postgres": func(b testing.TB) *sql.DB { return datatest.Postgres(b, "order", store.Migrations(), outbox.Schema()) },
	} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			s, ctx := store.New(db, rpc.Tell), context.Background()
			for b.Loop() {
				placed := newOrder()
				o, _, err := s.Create(ctx, &placed)
				if err != nil {
					b.Fatal(err)
				}
				for _, step := range []func() error{
					func() error { return o.Reserve(at()) },
					func() error {
						if err := o.Authorize(uuid.NewString(), at()); err != nil {
							return err
						}
						return o.Confirm(at())
					},
					func() error { return o.Capture(at()) },
				} {
					if err := step(); err != nil {
						b.Fatal(err)
					}
					if err := s.Save(ctx, &o); err != nil {
						b.Fatal(err)
					}
				}
				if o.State != sale.Paid {
					b.Fatal(o.State)
				}
			}
		})
	}
}
