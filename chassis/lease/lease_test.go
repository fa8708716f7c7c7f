package lease_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/chassis/outbox"
)

const (
	ttl      = 900 * time.Millisecond
	patience = 30 * time.Second
)

func each(t *testing.T, fn func(t *testing.T, db *sql.DB)) {
	t.Helper()
	datatest.Each(t, "shop", fstest.MapFS{"migrations/00001_work.sql": {Data: []byte(
		"-- +goose Up\nCREATE TABLE work (n BIGINT NOT NULL);\n",
	)}}, fn, outbox.Schema())
}

// hold runs a candidate until the test ends or stop is called; what it gets is sent to the result, and held until release gives a word or
// its ctx ends.
func hold(t *testing.T, db *sql.DB, owner string, now func() time.Time, release <-chan struct{}) (got <-chan *lease.Lease, ended <-chan error, stop func()) {
	t.Helper()
	leases, ends := make(chan *lease.Lease, 10), make(chan error, 10)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		err := lease.Run(ctx, lease.Config{DB: db, Name: "job", Owner: owner, TTL: ttl, Now: now}, func(ctx context.Context, l *lease.Lease) error {
			leases <- l
			select {
			case <-ctx.Done():
			case <-release:
			}
			ends <- ctx.Err()
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", owner, err)
		}
	})
	stop = func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return leases, ends, stop
}

func receive[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		panic("unreachable")
	}
}

func TestOneOwnerAtATime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sql.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var inside, turns atomic.Int64
		var mu sync.Mutex
		epochs := map[int64]bool{}
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				err := lease.Run(ctx, lease.Config{DB: db, Name: "job", Owner: fmt.Sprint(i), TTL: 30 * time.Millisecond}, func(ctx context.Context, l *lease.Lease) error {
					if inside.Add(1) > 1 {
						t.Error("two have the lease")
					}
					defer inside.Add(-1)
					mu.Lock()
					defer mu.Unlock()
					if epochs[l.Epoch] {
						t.Errorf("epoch %d twice", l.Epoch)
					}
					epochs[l.Epoch] = true
					if turns.Add(1) == 12 {
						cancel()
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if turns.Load() < 12 {
			t.Errorf("%d turns", turns.Load())
		}
	})
}

// An owner that has died says no word. Its lease is free when its heart has stood still for TTL, and not before.
func TestASilentOwnerIsReplaced(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sql.DB) {
		_, err := db.Exec(`INSERT INTO lease (name, owner, epoch) VALUES ('job', 'dead', 7)`)
		if err == nil {
			_, err = db.Exec(`INSERT INTO lease_beat (name, epoch, beats, at) VALUES ('job', 7, 3, 0)`)
		}
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		got, _, _ := hold(t, db, "heir", nil, nil)
		l := receive(t, got, "the lease")
		if l.Epoch != 8 || l.Owner != "heir" || l.Name != "job" {
			t.Errorf("got %+v", l)
		}
		if d := time.Since(began); d < ttl {
			t.Errorf("took it after %s, want %s of silence", d, ttl)
		}
	})
}

// Clocks an hour apart: whoever has it keeps it.
func TestClocksAreNotCompared(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sql.DB) {
		first, ended, stop := hold(t, db, "first", nil, nil)
		receive(t, first, "the lease")
		ahead, _, _ := hold(t, db, "ahead", func() time.Time { return time.Now().Add(time.Hour) }, nil)
		behind, _, _ := hold(t, db, "behind", func() time.Time { return time.Now().Add(-time.Hour) }, nil)
		select {
		case <-ahead:
			t.Error("taken by one whose clock is ahead")
		case <-behind:
			t.Error("taken by one whose clock is behind")
		case <-ended:
			t.Error("lost")
		case <-time.After(2 * ttl):
		}
		stop()
		select {
		case <-ahead:
		case <-behind:
		case <-time.After(patience):
			t.Error("nobody took it afterwards")
		}
	})
}

func TestWorkEndsWhenTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sql.DB) {
		got, ended, _ := hold(t, db, "first", nil, nil)
		l := receive(t, got, "the lease")
		if _, err := db.Exec(`UPDATE lease SET owner = 'other', epoch = epoch + 1`); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`UPDATE lease_beat SET epoch = epoch + 1`); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, ended, "the work to end"); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		if again := receive(t, got, "the lease again"); again.Epoch != l.Epoch+2 { // the other was silent
			t.Errorf("epoch %d, want %d", again.Epoch, l.Epoch+2)
		}
	})
}

func TestAStaleOwnerWritesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sql.DB) {
		release := make(chan struct{})
		got, _, stop := hold(t, db, "first", nil, release)
		stale := receive(t, got, "the lease")
		write := func(l *lease.Lease) error {
			return data.Tx(t.Context(), db, func(tx *sql.Tx) error {
				if _, err := tx.ExecContext(t.Context(), `INSERT INTO work (n) VALUES ($1)`, l.Epoch); err != nil {
					return err
				}
				return l.Guard(t.Context(), tx)
			})
		}
		if err := write(stale); err != nil {
			t.Errorf("the owner: %v", err)
		}
		release <- struct{}{}
		fresh := receive(t, got, "the next epoch")
		if err := write(stale); !errors.Is(err, lease.ErrFenced) {
			t.Errorf("a stale owner: %v", err)
		}
		if err := write(fresh); err != nil {
			t.Errorf("the owner of epoch %d: %v", fresh.Epoch, err)
		}
		stop()
		var n, sum int64
		if err := db.QueryRow(`SELECT COUNT(*), SUM(n) FROM work`).Scan(&n, &sum); err != nil || n != 2 || sum != stale.Epoch+fresh.Epoch {
			t.Errorf("%d writes, of epochs that sum to %d (%v)", n, sum, err)
		}
	})
}

// A transaction that began before another took over must not commit after it, when both touch the same.
func TestAWriteThatOverlapsTheTakeover(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sql.DB) {
		release := make(chan struct{})
		got, _, _ := hold(t, db, "first", nil, release)
		stale := receive(t, got, "the lease")
		if _, err := db.Exec(`INSERT INTO work (n) VALUES (0)`); err != nil {
			t.Fatal(err)
		}
		tries := 0
		err := data.Tx(t.Context(), db, func(tx *sql.Tx) error {
			tries++
			if err := stale.Guard(t.Context(), tx); err != nil {
				return err
			}
			if tries == 1 {
				// SQLite has one writer: the takeover waits for this transaction, and only PostgreSQL can overlap.
				takeover(t, db, stale)
			}
			_, err := tx.ExecContext(t.Context(), `UPDATE work SET n = n + 1`)
			return err
		})
		var n int64
		if err := db.QueryRow(`SELECT n FROM work`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if errors.Is(err, lease.ErrFenced) && n == 100 || err == nil && n%100 == 1 {
			return
		}
		t.Errorf("%v after %d tries, with %d written", err, tries, n)
	})
}

// takeover is another owner's work; it gives up when the database doesn't let it at once.
func takeover(t *testing.T, db *sql.DB, l *lease.Lease) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := data.Tx(ctx, db, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE lease SET owner = 'other', epoch = $1`, l.Epoch+1); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE work SET n = n + 100`)
		return err
	})
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []lease.Config{{}, {DB: &sql.DB{}, Name: "job"}, {DB: &sql.DB{}, Name: "job", Owner: "me", TTL: -1}} {
		if err := lease.Run(t.Context(), c, nil); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
