package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/sale"
	"github.com/cleavehq/cleave/services/order/internal/store"
)

// at is a moment with microseconds, which are kept.
func at() time.Time { return time.Date(2026, 11, 3, 12, 0, 0, 123_000, time.UTC) }

func usd(minor int64) sale.Money { return sale.Money{Currency: "USD", Minor: minor} }

func newOrder() sale.Order {
	o := sale.Order{
		ID: uuid.Must(uuid.NewV7()).String(), RequestID: uuid.NewString(), Fingerprint: "f", CartID: uuid.NewString(), CustomerID: uuid.NewString(),
		Email: "ada@example.com", QuoteID: "q", Coupon: "TENTH",
		Address: sale.Address{Name: "Ada Łovelace", Line1: "12 St James's Square", Line2: "2nd floor", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"},
		Lines: []sale.Line{
			{SKU: "Z-FIRST", Title: "Jug 💧 - Blue", Quantity: 2, Unit: usd(1999), Discount: usd(3), Tax: usd(5), Total: usd(4000)},
			{SKU: "A-SECOND", Title: "", Quantity: 10_000, Unit: usd(0), Discount: usd(0), Tax: usd(0), Total: usd(0)},
		},
		Subtotal: usd(3998), Discount: usd(3), Tax: usd(5), Total: usd(4000),
	}
	o.Open(at(), time.Second)
	return o
}

// teller keeps what a store told.
type teller struct {
	mu   sync.Mutex
	told []string
	err  error
}

func (t *teller) tell(_ context.Context, _ *sql.Tx, o sale.Order, e sale.Entry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = append(t.told, string(e.Tell)+" "+string(o.State))
	return t.err
}

type keeper struct {
	*store.Store
	*teller
	db *sql.DB
}

// TestStore runs what needs a database on both engines, one database for all of it.
func TestStore(t *testing.T) {
	datatest.Each(t, "order", store.Migrations(), func(t *testing.T, db *sql.DB) {
		for _, c := range []struct {
			name string
			test func(context.Context, *testing.T, keeper)
		}{
			{"page", testPage}, // an empty list first
			{"an order is kept as it is", testAnOrderIsKeptAsItIs},
			{"a cart has one live order", testACartHasOneLiveOrder},
			{"an old version is refused", testAnOldVersionIsRefused},
			{"one cart at once", testOneCartAtOnce},
			{"what is due", testDue},
			{"what fails keeps nothing", testWhatFailsKeepsNothing},
			{"guarded", testGuarded},
		} {
			t.Run(c.name, func(t *testing.T) {
				told := &teller{}
				c.test(context.Background(), t, keeper{store.New(db, told.tell), told, db})
			})
		}
	})
}

func (s keeper) create(ctx context.Context, t *testing.T, o sale.Order) sale.Order {
	t.Helper()
	kept, created, err := s.Create(ctx, &o)
	want := o.Clone()
	if want.Kept(1); err != nil || !created || !reflect.DeepEqual(kept, want) {
		t.Fatalf("create: %+v, %v, %v\nwant %+v", kept, created, err, want)
	}
	return kept
}

func (s keeper) save(ctx context.Context, t *testing.T, o *sale.Order) {
	t.Helper()
	if err := s.Save(ctx, o); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, o.ID); err != nil || !reflect.DeepEqual(got, *o) {
		t.Fatalf("%+v, %v\nwant %+v", got, err, *o)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustFail(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %s %s", err, code, reason)
	}
}

func testAnOrderIsKeptAsItIs(ctx context.Context, t *testing.T, s keeper) {
	o := s.create(ctx, t, newOrder())
	for i, step := range []func(at time.Time) error{
		o.Reserve, func(at time.Time) error { return o.Authorize("pay", at) }, o.Confirm, o.Capture,
		func(at time.Time) error { return o.Ship([]sale.Pieces{{SKU: "Z-FIRST", Quantity: 1}}, at) },
		func(at time.Time) error { return o.AskRefund(o.RefundID("a"), usd(7), "a", at) },
		func(at time.Time) error { return o.AskRefund(o.RefundID("b"), usd(8), "b", at) },
		func(at time.Time) error { o.SettleRefund(o.RefundID("b"), sale.Done, at); return nil },
		func(at time.Time) error { o.SettleRefund(o.RefundID("a"), sale.Refused, at); return nil },
		func(at time.Time) error {
			return o.Return("r", []sale.Pieces{{SKU: "Z-FIRST", Quantity: 2}, {SKU: "A-SECOND", Quantity: 10_000}}, at)
		},
		func(at time.Time) error { o.Park("WHY", at.Add(time.Hour)); return nil },
		func(at time.Time) error { return o.Claim(at, time.Minute) },
		func(at time.Time) error { o.Erase(at); return nil },
	} {
		must(t, step(at().Add(time.Duration(i)*time.Millisecond)))
		s.save(ctx, t, &o)
	}
	want := []string{
		"OrderConfirmed CONFIRMED", "OrderPaid PAID", "OrderShipped PARTIALLY_SHIPPED", "OrderRefunded PARTIALLY_REFUNDED", "OrderReturned RETURNED",
	}
	if !slices.Equal(s.told, want) {
		t.Errorf("told %v, want %v", s.told, want)
	}
	history, err := s.History(ctx, o.ID)
	if err != nil || int64(len(history)) != o.Sequence || history[0].Reason != sale.Placed || history[0].From != "" || history[2].To != sale.Authorized ||
		!history[1].At.Equal(at()) {
		t.Errorf("%+v, %v", history, err)
	}
	if got, err := s.ByRequest(ctx, o.RequestID); err != nil || got.ID != o.ID {
		t.Errorf("by request: %+v, %v", got, err)
	}

	plain := newOrder()
	plain.RequestID = ""
	s.create(ctx, t, plain)
	plain.ID, plain.CartID = uuid.NewString(), uuid.NewString()
	s.create(ctx, t, plain) // no request id is not a request id
	_, err = s.ByRequest(ctx, "")
	mustFail(t, err, codes.NotFound, sale.ReasonOrderNotFound)
	_, err = s.Get(ctx, uuid.NewString())
	mustFail(t, err, codes.NotFound, sale.ReasonOrderNotFound)
}

func testACartHasOneLiveOrder(ctx context.Context, t *testing.T, s keeper) {
	o := s.create(ctx, t, newOrder())
	same := newOrder()
	same.RequestID = o.RequestID
	if kept, created, err := s.Create(ctx, &same); err != nil || created || !reflect.DeepEqual(kept, o) {
		t.Errorf("the same request id: %+v, %v, %v", kept, created, err)
	}
	rival := newOrder()
	rival.CartID = o.CartID
	_, _, err := s.Create(ctx, &rival)
	mustFail(t, err, codes.FailedPrecondition, sale.ReasonCartOrdered)

	must(t, o.GiveUp(sale.Refusal{Code: codes.FailedPrecondition, Reason: sale.ReasonOutOfStock, Message: "none left"}, at().Add(time.Second)))
	s.save(ctx, t, &o)
	_, _, err = s.Create(ctx, &rival) // until it is cancelled the cart is its own
	mustFail(t, err, codes.FailedPrecondition, sale.ReasonCartOrdered)
	must(t, o.Cancel(at().Add(2*time.Second)))
	s.save(ctx, t, &o)
	s.create(ctx, t, rival)
}

// testAnOldVersionIsRefused has both decided at one moment: one of them wins, and both sides know which.
func testAnOldVersionIsRefused(ctx context.Context, t *testing.T, s keeper) {
	for range 20 {
		one := s.create(ctx, t, newOrder())
		two := one.Clone()
		must(t, one.Reserve(at()))
		must(t, two.GiveUp(sale.Refusal{Code: codes.Unavailable, Reason: "R"}, at()))
		var (
			both           sync.WaitGroup
			oneErr, twoErr error
		)
		start := make(chan struct{})
		both.Go(func() { <-start; oneErr = s.Save(ctx, &one) })
		both.Go(func() { <-start; twoErr = s.Save(ctx, &two) })
		close(start)
		both.Wait()
		got, err := s.Get(ctx, one.ID)
		if err != nil || (oneErr == nil) == (twoErr == nil) || (oneErr == nil) != (got.State == sale.Reserved) || got.GivenUp() != (twoErr == nil) {
			t.Fatalf("%s, why %+v (%v); told %v and %v", got.State, got.Why, err, oneErr, twoErr)
		}
		mustFail(t, errors.Join(oneErr, twoErr), codes.Aborted, sale.ReasonOrderStateChanged)
		if history, err := s.History(ctx, one.ID); err != nil || len(history) != 2 {
			t.Errorf("%+v, %v", history, err)
		}
	}
}

// testOneCartAtOnce has many take a cart at one moment, half of them under one request id.
func testOneCartAtOnce(ctx context.Context, t *testing.T, s keeper) {
	const many = 10
	first := newOrder()
	kept, created, errs := make([]sale.Order, many), make([]bool, many), make([]error, many)
	var all sync.WaitGroup
	for i := range many {
		o := newOrder()
		o.CartID = first.CartID
		if i%2 == 0 {
			o.RequestID = first.RequestID
		}
		all.Go(func() { kept[i], created[i], errs[i] = s.Create(ctx, &o) })
	}
	all.Wait()
	won := slices.Index(created, true)
	if won < 0 {
		t.Fatal("nobody says that they made it", errs)
	}
	for i := range many {
		switch {
		case errs[i] != nil:
			mustFail(t, errs[i], codes.FailedPrecondition, sale.ReasonCartOrdered)
		case kept[i].ID != kept[won].ID || created[i] && i != won:
			t.Errorf("%d got %s, created %v; %s is kept", i, kept[i].ID, created[i], kept[won].ID)
		}
	}
}

func testDue(ctx context.Context, t *testing.T, s keeper) {
	later := at().Add(1000 * time.Hour) // beyond the other tests' orders
	next := func(n int, o sale.Order) string {
		o.Next, o.Until = later.Add(time.Duration(n)*time.Second), time.Time{}
		s.save(ctx, t, &o)
		return o.ID
	}
	second := next(2, s.create(ctx, t, newOrder()))
	first := next(1, s.create(ctx, t, newOrder()))
	next(9, s.create(ctx, t, newOrder()))
	claimed := s.create(ctx, t, newOrder())
	claimed.Next, claimed.Until = later, later.Add(time.Hour)
	s.save(ctx, t, &claimed)
	rest := s.create(ctx, t, newOrder())
	rest.Next, rest.Until = time.Time{}, time.Time{}
	s.save(ctx, t, &rest)
	got, err := s.Due(ctx, later.Add(2*time.Second), 1000)
	if len(got) < 2 || err != nil || !slices.Equal(got[len(got)-2:], []string{first, second}) || slices.Contains(got, claimed.ID) || slices.Contains(got, rest.ID) {
		t.Errorf("%v, %v; want %s, %s at its end", got, err, first, second)
	}
	if got, err := s.Due(ctx, later, 1); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// testWhatFailsKeepsNothing: an event that can't be written takes its change with it, and what the caller is told is what was done.
func testWhatFailsKeepsNothing(ctx context.Context, t *testing.T, s keeper) {
	o := s.create(ctx, t, newOrder())
	must(t, o.Reserve(at()))
	must(t, o.Authorize("p", at()))
	must(t, o.Confirm(at()))
	s.err = errors.New("the outbox is full")
	if err := s.Save(ctx, &o); !errors.Is(err, s.err) {
		t.Errorf("%v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	late := newOrder()
	if _, _, err := s.Create(gone, &late); err == nil {
		t.Error("created")
	}
	if _, err := s.Get(ctx, late.ID); problem.From(err).Code != codes.NotFound {
		t.Errorf("%v", err)
	}
	if got, err := s.Get(ctx, o.ID); err != nil || got.State != sale.Pending || got.Version != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if history, err := s.History(ctx, o.ID); err != nil || len(history) != 1 {
		t.Errorf("%+v, %v", history, err)
	}
	s.err = nil
	s.save(ctx, t, &o) // and it can be written again
}

func testGuarded(ctx context.Context, t *testing.T, s keeper) {
	o := s.create(ctx, t, newOrder())
	fenced := errors.New("fenced")
	guarded := s.Guarded(func(context.Context, *sql.Tx) error { return fenced })
	if err := guarded.Save(ctx, &o); !errors.Is(err, fenced) {
		t.Errorf("%v", err)
	}
	other := newOrder()
	if _, _, err := guarded.Create(ctx, &other); !errors.Is(err, fenced) {
		t.Errorf("%v", err)
	}
	if got, err := s.Get(ctx, o.ID); err != nil || got.Version != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func testPage(ctx context.Context, t *testing.T, s keeper) {
	var want []string // the newest first
	for n := range 9 {
		i := n * 4 % 9 // not written in their order
		o := newOrder()
		o.ID = fmt.Sprintf("0192f5a0-0000-7000-8000-%012d", i)
		o.Created = at().Add(time.Duration(i/3) * time.Microsecond) // three of each moment
		if i%2 == 0 {
			o.State = sale.Paid
		}
		s.create(ctx, t, o)
		want = append(want, o.ID)
	}
	slices.Sort(want)
	slices.Reverse(want)
	for _, filter := range []sale.State{"", sale.Paid, sale.Cancelled} {
		var got []string
		after := checkout.Cursor{State: filter}
		for {
			page, err := s.Page(ctx, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, o := range page {
				if len(o.Lines) != 2 || o.Lines[0].SKU != "Z-FIRST" {
					t.Fatalf("lines %+v of %s", o.Lines, o.ID)
				}
				got = append(got, o.ID)
				after.Created, after.ID = o.Created, o.ID
			}
		}
		expected := slices.DeleteFunc(slices.Clone(want), func(id string) bool {
			odd := (id[len(id)-1]-'0')%2 == 1
			return filter == sale.Paid && odd || filter == sale.Cancelled
		})
		if !slices.Equal(got, expected) {
			t.Errorf("%q: %v, want %v", filter, got, expected)
		}
	}
}
