package host

import (
	"context"
	"database/sql"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/health"
)

// watched looks at the database of a module until the result is called, over a connection of its own: that all others are busy is no outage.
func (h *Host) watched(ctx context.Context, r *running) (stop func(), err error) {
	if h.c.Health == nil {
		return func() {}, nil
	}
	db, err := data.OpenReader(ctx, data.Config{URL: h.c.DataURL, Dir: h.c.DataDir, Module: r.name})
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	server, log := r.server, h.c.Log.With("module", r.name)
	end := h.c.Health.Watch(health.Dependency{
		Name: "database", Of: r.name, Criticality: health.Critical, Check: func(ctx context.Context) error { return ask(ctx, db) },
		Changed: func(up bool) {
			if up {
				log.InfoContext(ctx, "the database is back")
			} else {
				log.ErrorContext(ctx, "the database is away: the module isn't ready")
			}
			if h.c.LeaveUnready {
				server.SetReady(up)
			}
		},
	})
	return func() {
		end()
		_ = db.Close() // it was only read
	}, nil
}

func ask(ctx context.Context, db *sql.DB) error {
	var one int
	return db.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}
