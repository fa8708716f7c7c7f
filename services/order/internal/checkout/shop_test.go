package checkout_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/rpc"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
	"github.com/cleavehq/cleave/services/order/internal/store"
)

func TestMain(m *testing.M) {
	// A cache that one of go-micro's packages makes when it is imported never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// TestShop runs what needs a database on both engines, one database for all of it. What runs hundreds of checkouts takes the whole of
// them to PostgreSQL only: SQLite in Go is slow under the race detector.
func TestShop(t *testing.T) {
	each(t, func(t *testing.T, db *sql.DB) {
		tests := []struct {
			name string
			test func(*testing.T, *sql.DB)
		}{
			{"place", testPlace},
			{"place again", testPlaceAgain},
			{"place at once", testPlaceAtOnce},
			{"cancel", testCancel},
			{"cancel races capture", testCancelRacesCapture},
			{"refund", testRefund},
			{"there and back", testThereAndBack},
			{"an erased customer", testAnErasedCustomer},
			{"an alarm", testAnAlarm},
			{"each step may fail", testEachStepMayFail},
			{"two drivers", testTwoDrivers},
			{"a claim that runs out", testAClaimThatRunsOut},
			{"a process may die anywhere", testAProcessMayDieAnywhere},
			{"one after the other dies", testOneAfterTheOtherDies},
			{"any faults", testAnyFaults},
		}
		if sqlite(t) {
			tests = tests[:len(tests)-2]
		}
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) { c.test(t, db) })
		}
	})
}

// sqlite says on which engine each runs.
func sqlite(t *testing.T) bool { return strings.Contains(t.Name(), "/sqlite") }

// each runs fn on both engines.
func each(t *testing.T, fn func(t *testing.T, db *sql.DB)) {
	t.Helper()
	datatest.Each(t, "order", store.Migrations(), fn, outbox.Schema())
}

// shop is the module under test, on a real database, in a world that can be made to fail. It is one process of the module; next starts another.
type shop struct {
	*world
	svc    *checkout.Service
	driver *saga.Driver
	store  *store.Store
	db     *sql.DB
	log    *safeBuffer
	clock  *clock
}

// clock goes as time goes, and can be put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// newShop has standard bounds unless the plan has a call that hangs: then a step has 300 ms.
func newShop(t rapid.TB, db *sql.DB, p plan) *shop {
	t.Helper()
	s := &shop{world: newWorld(p), store: store.New(db, rpc.Tell), db: db, log: &safeBuffer{}, clock: &clock{}}
	s.start(t, noFaults{})
	return s
}

// next is another process of the same module.
func (s *shop) next(t rapid.TB, faults saga.Faults) *shop {
	t.Helper()
	n := &shop{world: s.world, store: s.store, db: s.db, log: s.log, clock: s.clock}
	n.start(t, faults)
	return n
}

func (s *shop) start(t rapid.TB, faults saga.Faults) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	broken := &flaky{Store: s.store, world: s.world}
	c := saga.Config{
		Store: broken, Stock: s.world, Coupons: s.world, Payments: s.world, Fault: faults, Log: log, Now: s.clock.now,
		Backoff: time.Millisecond,
	}
	for _, list := range s.plan {
		for _, f := range list {
			if f == hangs {
				c.Claim = 400 * time.Millisecond
			}
		}
	}
	var err error
	if s.driver, err = saga.New(c); err != nil {
		t.Fatal(err)
	}
	s.svc, err = checkout.New(checkout.Config{
		Store: broken, Carts: s.world, Prices: s.world, Driver: s.driver, Fault: faults, Log: log, Now: s.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// settle lets the worker of this process work until nothing waits, with time going fast.
func (s *shop) settle(t rapid.TB) {
	t.Helper()
	for range 60 {
		s.land()
		s.clock.forward(2 * time.Minute)
		if _, err := s.driver.Sweep(context.Background()); err != nil && !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		var waiting int
		if err := s.db.QueryRow(`SELECT count(*) FROM orders WHERE next_at > 0`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting == 0 {
			return
		}
	}
	t.Fatalf("orders still wait for the worker:\n%s", s.log)
}

func request(cart string) checkout.Request {
	return checkout.Request{
		CartID: cart, Email: "ada@example.com", Token: sale.NewToken("tok_visa"),
		Address: sale.Address{Name: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"},
	}
}

// placed returns the only order of a cart, and false when there is none.
func (s *shop) placed(t rapid.TB, cart string) (sale.Order, bool) {
	t.Helper()
	var id string
	switch err := s.db.QueryRow(`SELECT max(id) FROM orders WHERE cart_id = $1 HAVING count(*) = 1`, cart).Scan(&id); {
	case errors.Is(err, sql.ErrNoRows):
		return sale.Order{}, false
	case err != nil:
		t.Fatal(err)
	}
	o, err := s.store.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o, true
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return problem.From(err).Reason
}

func mustFail(t *testing.T, err error, code codes.Code, why string) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != code || p.Reason != why {
		t.Fatalf("got %v, want %s %s", err, code, why)
	}
}

// flaky is the real store, whose writes may fail as planned, by the state that they write: before they are made, or after, when the answer is
// lost.
type flaky struct {
	*store.Store
	world *world
}

var errBroken = errors.New("the database went away")

func (f *flaky) write(name string, do func() error) error {
	f.world.mu.Lock()
	next := works
	if q := f.world.plan[name]; len(q) > 0 {
		next, f.world.plan[name] = q[0], q[1:]
	}
	f.world.mu.Unlock()
	if next == works {
		return do()
	}
	if next == lost {
		if err := do(); err != nil {
			return err
		}
	}
	return errBroken
}

func (f *flaky) Create(ctx context.Context, o *sale.Order) (kept sale.Order, created bool, err error) {
	err = f.write("create", func() (err error) { kept, created, err = f.Store.Create(ctx, o); return err })
	return kept, created, err
}

func (f *flaky) Save(ctx context.Context, o *sale.Order) error {
	name := "claim"
	if fresh := o.Fresh(); len(fresh) > 0 {
		if name = string(o.State); fresh[len(fresh)-1].From == o.State {
			name = fresh[len(fresh)-1].Reason[:8]
		}
	}
	return f.write(name, func() error { return f.Store.Save(ctx, o) })
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// noFaults arms no failpoint.
type noFaults struct{}

func (noFaults) Hit(context.Context, string) error { return nil }
