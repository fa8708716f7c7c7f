package inventory_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/inventory/internal/rpc"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
	"github.com/cleavehq/cleave/services/inventory/internal/store"
)

// ledger is the inventory in memory: what the module must agree with after any sequence of calls.
type ledger struct {
	now              time.Time
	onHand, reserved map[string]int64
	state            map[string]stock.State      // of reservations; "" for none
	lines            map[string]map[string]int64 // of reservations
	expires          map[string]time.Time        // of reservations
	brought          map[string]int64            // by kind, reference and SKU
}

func newLedger() *ledger {
	return &ledger{
		now: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC), onHand: map[string]int64{}, reserved: map[string]int64{},
		state: map[string]stock.State{}, lines: map[string]map[string]int64{}, expires: map[string]time.Time{}, brought: map[string]int64{},
	}
}

func (l *ledger) reserve(id string, lines map[string]int64, ttl time.Duration) bool {
	if l.state[id] != "" {
		return (l.state[id] == stock.Reserved || l.state[id] == stock.Committed) && fmt.Sprint(l.lines[id]) == fmt.Sprint(lines)
	}
	if !l.available(lines) && (l.expire(lines) == 0 || !l.available(lines)) {
		return false
	}
	for sku, n := range lines {
		l.reserved[sku] += n
	}
	l.state[id], l.lines[id], l.expires[id] = stock.Reserved, lines, l.now.Add(ttl)
	return true
}

func (l *ledger) available(lines map[string]int64) bool {
	for sku, n := range lines {
		if l.onHand[sku]-l.reserved[sku] < n {
			return false
		}
	}
	return true
}

// expire ends the reservations that are due and hold one of the lines' SKUs; all that are due when lines are nil.
func (l *ledger) expire(lines map[string]int64) (n int) {
	for id, s := range l.state {
		holds := lines == nil
		for sku := range lines {
			holds = holds || l.lines[id][sku] > 0
		}
		if s == stock.Reserved && holds && !l.expires[id].After(l.now) {
			l.free(id, stock.Expired)
			n++
		}
	}
	return n
}

func (l *ledger) commit(id string) bool {
	if l.state[id] == stock.Reserved {
		for sku, n := range l.lines[id] {
			l.onHand[sku] -= n
		}
		l.free(id, stock.Committed)
	}
	return l.state[id] == stock.Committed
}

func (l *ledger) release(id string) bool {
	if s := l.state[id]; s == stock.Reserved || s == "" {
		l.free(id, stock.Released)
	}
	return l.state[id] != stock.Committed
}

func (l *ledger) free(id string, to stock.State) {
	for sku, n := range l.lines[id] {
		l.reserved[sku] -= n
	}
	l.state[id] = to
}

func (l *ledger) restock(kind stock.Kind, ref, sku string, n int64) bool {
	if _, known := l.onHand[sku]; !known {
		return false
	}
	key := fmt.Sprint(kind, ref, sku)
	if was := l.brought[key]; was != 0 {
		return was == n
	}
	l.brought[key] = n
	l.onHand[sku] += n
	return true
}

// The law, 0 <= reserved <= on_hand, and the sums, of the counts and of the entries, whatever is called in whatever order.
func TestTheLawHolds(t *testing.T) {
	t.Parallel()
	datatest.Each(t, "inventory", store.Migrations(), lawHolds, outbox.Schema())
}

func lawHolds(t *testing.T, db *sql.DB) {
	ctx, run := t.Context(), 0
	kept, err := store.New(db, rpc.Events{})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		run++
		l := newLedger()
		s, err := stock.New(stock.Config{Store: kept, Now: func() time.Time { return l.now }})
		if err != nil {
			t.Fatal(err)
		}
		skus := []string{fmt.Sprintf("%d-a", run), fmt.Sprintf("%d-b", run), fmt.Sprintf("%d-c", run)}
		ids := []string{uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()}
		agree := func(what string, ok bool, err error) {
			if p := problem.From(err); p != nil && p.Reason == "INTERNAL" {
				t.Fatalf("%s: %v", what, err)
			}
			if ok != (err == nil) {
				t.Fatalf("%s: the module says %v, the ledger %v", what, err, ok)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				sku, n := rapid.SampledFrom(skus).Draw(t, "sku"), rapid.Int64Range(0, 8).Draw(t, "n")
				ok := n >= l.reserved[sku]
				_, err := s.Set(ctx, stock.Count{SKU: sku, OnHand: n})
				agree("set", ok, err)
				if ok {
					l.onHand[sku] = n
				}
			},
			"adjust": func(t *rapid.T) {
				sku, n := rapid.SampledFrom(skus).Draw(t, "sku"), rapid.Int64Range(-4, 4).Draw(t, "delta")
				_, known := l.onHand[sku]
				ok := known && l.onHand[sku]+n >= l.reserved[sku]
				_, err := s.Adjust(ctx, sku, n, "")
				agree("adjust", ok, err)
				if ok {
					l.onHand[sku] += n
				}
			},
			"restock": func(t *rapid.T) {
				sku, n := rapid.SampledFrom(skus).Draw(t, "sku"), rapid.Int64Range(1, 2).Draw(t, "n")
				kind, ref := rapid.SampledFrom([]stock.Kind{stock.Returned, stock.Supplied}).Draw(t, "kind"), rapid.SampledFrom(ids).Draw(t, "ref")
				ok := l.restock(kind, ref, sku, n)
				_, err := s.Restock(ctx, kind, ref, stock.Line{SKU: sku, Quantity: n})
				agree("restock", ok, err)
			},
			"reserve": func(t *rapid.T) {
				id, ttl := rapid.SampledFrom(ids).Draw(t, "id"), rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "ttl")
				want := rapid.MapOfN(rapid.SampledFrom(skus), rapid.Int64Range(1, 4), 1, 3).Draw(t, "lines")
				var lines []stock.Line
				for sku, n := range want {
					lines = append(lines, stock.Line{SKU: sku, Quantity: n})
				}
				lasts := ttl
				if lasts == 0 {
					lasts = stock.DefaultTTL
				}
				ok := l.reserve(id, want, lasts)
				_, err := s.Reserve(ctx, id, lines, ttl)
				agree("reserve", ok, err)
			},
			"commit": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				ok := l.commit(id)
				_, err := s.Commit(ctx, id)
				agree("commit", ok, err)
			},
			"release": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				ok := l.release(id)
				_, err := s.Release(ctx, id)
				agree("release", ok, err)
			},
			"wait": func(t *rapid.T) {
				l.now = l.now.Add(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, stock.DefaultTTL}).Draw(t, "for"))
			},
			"expire": func(t *rapid.T) {
				want := l.expire(nil)
				n, more, err := s.Expire(ctx)
				if err != nil || n != want || more {
					t.Fatalf("expire: %d, %v, %v; the ledger says %d", n, more, err, want)
				}
			},
			"": func(t *rapid.T) { l.compare(ctx, t, db) },
		})
		// So that nothing of this run is due in the next one.
		for _, id := range ids {
			if _, err := s.Release(ctx, id); err != nil && problem.From(err).Reason != stock.ReasonReservationCommitted {
				t.Fatal(err)
			}
		}
	})
}

// compare fails unless the database has the ledger's counts, keeps the law, and has entries that sum to what is on hand.
func (l *ledger) compare(ctx context.Context, t *rapid.T, db *sql.DB) {
	for sku, n := range l.onHand {
		var onHand, reserved, sum int64
		err := db.QueryRowContext(ctx, `SELECT on_hand, reserved, (SELECT COALESCE(SUM(delta), 0) FROM stock_ledger l WHERE l.sku = s.sku)
			FROM stock s WHERE sku = $1`, sku).Scan(&onHand, &reserved, &sum)
		if err != nil || onHand != n || reserved != l.reserved[sku] || reserved < 0 || reserved > onHand {
			t.Fatalf("%s: %d on hand, %d reserved, %v; the ledger has %d and %d", sku, onHand, reserved, err, n, l.reserved[sku])
		}
		if sum != onHand {
			t.Fatalf("%s: the entries sum to %d, %d are on hand", sku, sum, onHand)
		}
		var last int64
		err = db.QueryRowContext(ctx, `SELECT on_hand FROM stock_ledger WHERE sku = $1 ORDER BY at DESC LIMIT 1`, sku).Scan(&last)
		if err != nil && err != sql.ErrNoRows || last != onHand {
			t.Fatalf("%s: the last entry has %d on hand, %v; want %d", sku, last, err, onHand)
		}
	}
}
