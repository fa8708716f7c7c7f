package checkout_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

var errDead = errors.New("the process is dead")

// death is a process that dies at a failpoint: from then on nothing that it does is done any more, as every call and every commit comes
// through a failpoint first.
type death struct {
	at string

	mu   sync.Mutex
	dead bool
}

func (d *death) Hit(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead = d.dead || name == d.at; d.dead {
		return errDead
	}
	return nil
}

func (d *death) died() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// story is something that happens to a shop: what is broken in it, who buys, and what the process does then.
type story struct {
	name string
	plan plan
	req  func(*checkout.Request)
	then func(ctx context.Context, s *shop, o sale.Order)
}

func stories() []story {
	coupon := func(r *checkout.Request) { r.Coupon = "TENTH" }
	return []story{
		{"bought with a coupon", plan{}, coupon, nil},
		{"declined", plan{}, func(r *checkout.Request) { r.Coupon, r.Token = "TENTH", sale.NewToken("tok_declined") }, nil},
		{"the answer of the provider is lost", plan{"authorize": {lost}}, coupon, nil},
		{"nobody knows for a while", plan{"authorize": {lost}, "resolve": {fails}}, coupon, work},
		{"the authorisation comes late", plan{"authorize": {late}}, coupon, func(ctx context.Context, s *shop, o sale.Order) {
			s.land()
			work(ctx, s, o)
		}},
		{"called off when it is paid", plan{}, coupon, func(ctx context.Context, s *shop, o sale.Order) { _, _ = s.svc.Cancel(ctx, o.ID) }},
		{"called off when it is confirmed", plan{"capture": {fails}}, coupon, func(ctx context.Context, s *shop, o sale.Order) { _, _ = s.svc.Cancel(ctx, o.ID) }},
		{"refunded in two parts", plan{}, coupon, func(ctx context.Context, s *shop, o sale.Order) {
			_, _ = s.svc.Refund(ctx, checkout.RefundRequest{OrderID: o.ID, Amount: sale.Money{Currency: "USD", Minor: 7}, RequestID: "a"})
			_, _ = s.svc.Refund(ctx, checkout.RefundRequest{OrderID: o.ID, RequestID: "b"})
		}},
	}
}

// work lets the worker of this process look.
func work(ctx context.Context, s *shop, _ sale.Order) {
	s.clock.forward(s.driver.ClaimFor() * 20)
	_, _ = s.driver.Sweep(ctx) // it is dead, perhaps
}

// tell runs a story in a process that may die in it.
func (s *shop) tell(t rapid.TB, st story, req checkout.Request) (sale.Order, error) {
	ctx := context.Background()
	answer, err := s.svc.Place(ctx, req)
	if o, there := s.placed(t, req.CartID); there && st.then != nil {
		st.then(ctx, s, o)
	}
	return answer, err
}

// route notes the failpoints that a process comes to.
type route struct {
	mu     sync.Mutex
	points []string
}

func (r *route) Hit(_ context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.points, name) {
		r.points = append(r.points, name)
	}
	return nil
}

// broken is a shop in which a story is about to happen, and who buys in it.
func (st story) broken(t rapid.TB, db *sql.DB) (*shop, checkout.Request) {
	p := plan{}
	for step, faults := range st.plan {
		p[step] = slices.Clone(faults)
	}
	s := newShop(t, db, p)
	req := request(s.newCart())
	req.RequestID = uuid.NewString()
	st.req(&req)
	return s, req
}

// testAProcessMayDieAnywhere has the process die at each failpoint that it comes to in a story, and another one find what it left.
func testAProcessMayDieAnywhere(t *testing.T, db *sql.DB) {
	all := stories()
	if sqlite(t) {
		all = all[5:6] // bought, and called off
	}
	var seen []string
	for _, st := range all {
		s, req := st.broken(t, db)
		way := &route{}
		walking := s.next(t, way)
		_, _ = walking.tell(t, st, req)
		walking.settle(t)
		for _, point := range way.points {
			st.dies(t, db, point)
		}
		seen = append(seen, way.points...)
	}
	for _, point := range saga.Failpoints() {
		if !sqlite(t) && !slices.Contains(seen, point) {
			t.Errorf("no story comes to %s", point)
		}
	}
}

func (st story) dies(t *testing.T, db *sql.DB, point string) {
	t.Helper()
	s, req := st.broken(t, db)
	at := &death{at: point}
	answer, err := s.next(t, at).tell(t, st, req)
	s.next(t, at).settleDying(t)
	if !at.died() {
		t.Errorf("%s: it didn't come to %s", st.name, point)
	}
	second := s.next(t, noFaults{})
	second.settle(t)
	second.mustHold(t, req.CartID)
	second.mustAnswer(t, req.CartID, answer, err)
	// The client that heard nothing sends the same again, and buys once.
	again, againErr := second.svc.Place(context.Background(), req)
	second.settle(t)
	second.mustHold(t, req.CartID)
	if err == nil && (againErr != nil || again.ID != answer.ID) {
		t.Errorf("first %s, then %s, %v", answer.ID, again.ID, againErr)
	}
	if t.Failed() {
		t.Fatalf("%s, dead at %s:\n%s", st.name, point, s.log)
	}
}

// settleDying lets the worker work like settle, for as long as its process lives.
func (s *shop) settleDying(t *testing.T) {
	t.Helper()
	for range 3 {
		s.clock.forward(2 * time.Minute)
		if _, err := s.driver.Sweep(context.Background()); err != nil && !errors.Is(err, errDead) {
			t.Fatal(err)
		}
	}
}

// testOneAfterTheOtherDies has several processes die, the next while it tidies up after the one before.
func testOneAfterTheOtherDies(t *testing.T, db *sql.DB) {
	rapid.Check(t, func(r *rapid.T) {
		st := rapid.SampledFrom(stories()).Draw(r, "story")
		point := rapid.SampledFrom(saga.Failpoints())
		first, req := st.broken(r, db)
		answer, err := first.next(r, &death{at: point.Draw(r, "first")}).tell(r, st, req)
		for range rapid.IntRange(1, 4).Draw(r, "more") {
			work(context.Background(), first.next(r, &death{at: point.Draw(r, "next")}), sale.Order{})
		}
		last := first.next(r, noFaults{})
		last.settle(r)
		last.mustHold(r, req.CartID)
		last.mustAnswer(r, req.CartID, answer, err)
	})
}

// testTwoDrivers has a driver whose claim ended go on while another one drives: what it writes is refused.
func testTwoDrivers(t *testing.T, db *sql.DB) {
	for _, step := range []string{"reserve", "authorize", "commit", "capture"} {
		s := newShop(t, db, plan{})
		other := s.next(t, noFaults{})
		cart := s.newCart()
		s.hook = func(at string) {
			if at == step {
				s.hook = nil
				other.settle(t) // far beyond the claim
			}
		}
		answer, err := s.svc.Place(context.Background(), request(cart))
		other.settle(t)
		s.mustHold(t, cart)
		s.mustAnswer(t, cart, answer, err)
		if n := s.called("capture"); n > 2 {
			t.Errorf("%s: captured %d times", step, n)
		}
	}
}

// testAClaimThatRunsOut is renewed before a driver calls anybody, so that no call outlasts it.
func testAClaimThatRunsOut(t *testing.T, db *sql.DB) {
	ctx := context.Background()
	s := newShop(t, db, plan{"authorize": {lost}, "resolve": {fails}})
	cart := s.newCart()
	if _, err := s.svc.Place(ctx, request(cart)); reason(err) != sale.ReasonCheckoutUnfinished {
		t.Fatal(err)
	}
	parked, _ := s.placed(t, cart)
	s.clock.forward(time.Minute)
	o, err := s.driver.Claim(ctx, parked.ID)
	if err != nil || o == nil {
		t.Fatal(o, err)
	}
	if other, err := s.driver.Claim(ctx, parked.ID); other != nil || err != nil {
		t.Errorf("claimed twice: %+v, %v", other, err)
	}
	s.clock.forward(s.driver.ClaimFor() - time.Second)
	s.hook = func(string) {
		if now, _ := s.placed(t, cart); now.Until.Sub(s.clock.now()) < s.driver.ClaimFor()*3/4 {
			t.Errorf("the claim ends in %s", now.Until.Sub(s.clock.now()))
		}
	}
	if err := s.driver.Drive(ctx, o, sale.Token{}); err != nil || o.State != sale.Paid {
		t.Errorf("%+v, %v", o, err)
	}
	s.hook = nil
	s.mustHold(t, cart)
}
