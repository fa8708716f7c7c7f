package payment

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/services/payment/internal/pay"
	"github.com/cleavehq/cleave/services/payment/internal/store"
)

const (
	// seekEvery is how often charges are sought that no payment knows.
	seekEvery = 10 * time.Minute
	// seekAgain is after how long again, when the provider did not answer.
	seekAgain = time.Minute
)

// reconcile settles what is due, again and again until ctx ends, in one instance of all: the one that has the lease. Whoever has lost
// it, and doesn't know, writes nothing.
func reconcile(ctx context.Context, d host.Deps, db *store.Store, c pay.Config, every time.Duration, strays prometheus.Gauge) {
	if every <= 0 {
		every = time.Second
	}
	err := lease.Run(ctx, lease.Config{DB: d.DB, Name: "payment.reconcile", Owner: d.Owner, Now: d.Now, Log: d.Log},
		func(ctx context.Context, l *lease.Lease) error {
			c.Store = db.Guarded(l.Guard)
			service, err := pay.New(c)
			if err != nil {
				return err
			}
			tick := time.NewTicker(every)
			defer tick.Stop()
			var seek time.Time
			var shown int64
			defer strays.Set(0) // from then on another instance knows
			for {
				if now := d.Now(); !now.Before(seek) {
					through, err := service.SeekStrays(ctx)
					if err != nil {
						return err
					}
					seek = now.Add(seekAgain)
					if through {
						seek = now.Add(seekEvery)
					}
					n, err := service.Strays(ctx)
					if err != nil {
						return err
					}
					for ; shown < n; shown++ {
						strays.Inc()
					}
					for ; shown > n; shown-- {
						strays.Dec()
					}
				}
				n, err := service.Reconcile(ctx)
				if err != nil {
					return err
				}
				if n > 0 {
					d.Log.InfoContext(ctx, "payments were reconciled", "due", n)
				}
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
			}
		})
	if err != nil {
		d.Log.ErrorContext(ctx, "payments are not reconciled", "error", err)
	}
}
