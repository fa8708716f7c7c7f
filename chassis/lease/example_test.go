package lease_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/chassis/outbox"
)

// One instance of many sweeps; each of its writes is refused when another has taken over.
func Example() {
	dir, err := os.MkdirTemp("", "lease")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := data.Open(context.Background(), data.Config{Dir: dir, Module: "shop", Schemas: []data.Schema{outbox.Schema()}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()

	ctx, stop := context.WithCancel(context.Background())
	err = lease.Run(ctx, lease.Config{DB: db, Name: "sweeper", Owner: "instance 1"}, func(ctx context.Context, l *lease.Lease) error {
		defer stop()
		return data.Tx(ctx, db, func(tx *sql.Tx) error {
			if err := l.Guard(ctx, tx); err != nil {
				return err
			}
			fmt.Println(l.Owner, "sweeps in epoch", l.Epoch)
			return nil
		})
	})
	fmt.Println(err)
	// Output:
	// instance 1 sweeps in epoch 1
	// <nil>
}
