package pricing

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/services/pricing/internal/store"
)

const (
	// forgetLease is the lease under which one instance of the module forgets quotes.
	forgetLease = "pricing.forget"
	// forgetEvery is how long it rests when there is nothing to forget.
	forgetEvery = time.Minute
	// forgetBatch is how many quotes go in one transaction.
	forgetBatch = 200
)

// forget deletes quotes that expired KeepQuotes ago, until the function that it returns is called.
func forget(ctx context.Context, d host.Deps) (stop func()) {
	work, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() {
		// Its own clock is the real one: it only measures how long another owner has been silent.
		c := lease.Config{DB: d.DB, Name: forgetLease, Owner: d.Owner, Log: d.Log}
		if err := lease.Run(work, c, func(ctx context.Context, l *lease.Lease) error { return forgetting(ctx, d, l) }); err != nil {
			d.Log.ErrorContext(work, "nothing forgets quotes", "error", err)
		}
	})
	return func() { cancel(); working.Wait() }
}

func forgetting(ctx context.Context, d host.Deps, l *lease.Lease) error {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-rest.C:
		}
		var gone int
		err := data.Tx(ctx, d.DB, func(tx *sql.Tx) (err error) {
			if err := l.Guard(ctx, tx); err != nil {
				return err
			}
			gone, err = store.Forget(ctx, tx, d.Now().Add(-KeepQuotes), forgetBatch)
			return err
		})
		switch {
		case err != nil:
			return err
		case gone == forgetBatch:
			rest.Reset(0)
		default:
			rest.Reset(forgetEvery)
		}
	}
}
