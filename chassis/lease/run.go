package lease

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
)

// Config says which lease, and for whom.
type Config struct {
	DB *sql.DB
	// Name of the lease.
	Name string
	// Owner is unique: no two processes, and no two runs of one, have the same.
	Owner string
	// TTL is how long an owner may be silent before another takes the lease; default 5 s. It is renewed three times as often.
	TTL time.Duration
	// Now is the clock; default time.Now. Only differences are used.
	Now func() time.Time
	Log *slog.Logger
}

// Run holds the lease while fn works: it waits for it, renews it, and ends fn's ctx when it is lost or couldn't be renewed for TTL. When fn
// returns, the lease is given back, and after a pause of TTL/3 Run waits for it again. It returns when ctx ends, with nil, and after fn has.
func Run(ctx context.Context, c Config, fn func(ctx context.Context, l *Lease) error) error {
	if c.DB == nil || c.Name == "" || c.Owner == "" || c.TTL < 0 {
		return errors.New("run lease: DB, Name and Owner are needed, and TTL is not negative")
	}
	if c.TTL == 0 {
		c.TTL = 5 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("lease", c.Name, "owner", c.Owner)
	h := &holder{c: c}
	for ctx.Err() == nil {
		l, err := h.take(ctx)
		if err != nil {
			c.Log.WarnContext(ctx, "a lease can't be had; trying again", "error", err)
		}
		if l != nil {
			h.hold(ctx, l, fn)
		}
		h.pause(ctx)
	}
	return nil
}

// holder is one candidate, and what it has seen of the owner's heartbeat.
type holder struct {
	c     Config
	seen  [2]int64 // epoch and beats
	since time.Time
}

// take tries once to get the lease; nil when another has it.
func (h *holder) take(ctx context.Context) (l *Lease, err error) {
	c := h.c
	err = data.Tx(ctx, c.DB, func(tx *sql.Tx) error {
		l = nil
		var owner string
		var epoch, beats int64
		err := tx.QueryRowContext(ctx, `SELECT l.owner, l.epoch, b.beats FROM lease l JOIN lease_beat b ON b.name = l.name WHERE l.name = $1`, c.Name).
			Scan(&owner, &epoch, &beats)
		now := c.Now()
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return fmt.Errorf("read the lease: %w", err)
		case owner == "" || owner == c.Owner:
		case h.since.IsZero() || h.seen != [2]int64{epoch, beats}:
			h.seen, h.since = [2]int64{epoch, beats}, now
			return nil
		case now.Sub(h.since) < c.TTL:
			return nil
		}
		l = &Lease{Name: c.Name, Owner: c.Owner, Epoch: epoch + 1}
		if _, err := tx.ExecContext(ctx, `INSERT INTO lease (name, owner, epoch) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch`, l.Name, l.Owner, l.Epoch); err != nil {
			return fmt.Errorf("take the lease: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO lease_beat (name, epoch, beats, at) VALUES ($1, $2, 0, $3)
			ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, beats = 0, at = excluded.at`, l.Name, l.Epoch, now.UnixMicro())
		return err
	})
	if err != nil {
		return nil, err
	}
	if l != nil {
		c.Log.DebugContext(ctx, "took a lease", "epoch", l.Epoch)
	}
	return l, nil
}

// hold runs fn and the heartbeat until one of them ends, and gives the lease back.
func (h *holder) hold(ctx context.Context, l *Lease, fn func(context.Context, *Lease) error) {
	log := h.c.Log.With("epoch", l.Epoch)
	work, cancel := context.WithCancel(ctx)
	var beat sync.WaitGroup
	beat.Go(func() {
		defer cancel()
		h.beat(work, l)
	})
	err := fn(work, l)
	cancel()
	beat.Wait()
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "the work under a lease ended", "error", err)
	}
	free, done := context.WithTimeout(context.WithoutCancel(ctx), h.c.TTL)
	defer done()
	if _, err := h.c.DB.ExecContext(free, `UPDATE lease SET owner = '' WHERE name = $1 AND epoch = $2`, l.Name, l.Epoch); err != nil {
		log.WarnContext(ctx, "a lease wasn't given back; others wait until it is stale", "error", err)
	}
}

// beat renews until ctx ends, the lease is lost, or it couldn't be renewed for TTL.
func (h *holder) beat(ctx context.Context, l *Lease) {
	last := h.c.Now()
	for {
		if !h.pause(ctx) {
			return
		}
		try, cancel := context.WithTimeout(ctx, max(h.c.TTL-h.c.Now().Sub(last), h.c.TTL/3))
		r, err := h.c.DB.ExecContext(try, `UPDATE lease_beat SET beats = beats + 1, at = $1 WHERE name = $2 AND epoch = $3`,
			h.c.Now().UnixMicro(), l.Name, l.Epoch)
		cancel()
		if err == nil {
			if n, err := r.RowsAffected(); err == nil && n == 0 {
				h.c.Log.WarnContext(ctx, "lost a lease to another owner", "epoch", l.Epoch)
				return
			}
			last = h.c.Now()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		h.c.Log.WarnContext(ctx, "a lease wasn't renewed", "epoch", l.Epoch, "error", err)
		if h.c.Now().Sub(last) >= h.c.TTL {
			return
		}
	}
}

// pause waits a third of TTL, and says whether ctx still runs.
func (h *holder) pause(ctx context.Context) bool {
	t := time.NewTimer(h.c.TTL / 3)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
