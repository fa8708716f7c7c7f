package checkout_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// testEachStepMayFail breaks every step of a checkout in every way.
func testEachStepMayFail(t *testing.T, db *sql.DB) {
	const (
		interrupted = sale.ReasonCheckoutInterrupted
		unfinished  = sale.ReasonCheckoutUnfinished
		none        = sale.State("") // no order at all
	)
	cases := []struct {
		name string
		plan plan
		// state that the order is in when the caller is answered, and the reason that the caller is told; empty when the order is the answer
		state sale.State
		told  string
		// end is the state when the worker is done
		end sale.State
		// unasked are planned steps that the checkout must not come to
		unasked []string
	}{
		{"create fails", plan{"create": {fails}}, none, interrupted, none, nil},
		{"create lost", plan{"create": {lost}}, sale.Paid, "", sale.Paid, nil},

		{"reserve fails", plan{"reserve": {fails}}, sale.Cancelled, interrupted, sale.Cancelled, nil},
		{"reserve lost", plan{"reserve": {lost}}, sale.Cancelled, interrupted, sale.Cancelled, nil},
		{"reserve late", plan{"reserve": {late}}, sale.Cancelled, interrupted, sale.Cancelled, nil},
		{"reserve hangs", plan{"reserve": {hangs}}, sale.Paid, "", sale.Paid, nil},
		{"inventory absent", plan{"reserve": {absent}, "release": {absent}}, sale.Cancelled, interrupted, sale.Cancelled, []string{"release"}},
		{"reserve lost, release fails", plan{"reserve": {lost}, "release": {fails}}, sale.Pending, unfinished, sale.Cancelled, nil},
		{"reserve late, release hangs", plan{"reserve": {late}, "release": {hangs}}, sale.Pending, unfinished, sale.Cancelled, nil},
		{"RESERVED not written", plan{"RESERVED": {fails}}, sale.Paid, "", sale.Paid, nil},
		{"RESERVED not written for long", plan{"RESERVED": {fails, fails, fails, fails}}, sale.Pending, unfinished, sale.Cancelled, nil},
		{"RESERVED written, answer lost", plan{"RESERVED": {lost}}, sale.Paid, "", sale.Paid, nil},

		{"authorize fails", plan{"authorize": {fails}}, sale.Cancelled, interrupted, sale.Cancelled, nil},
		{"authorize lost", plan{"authorize": {lost}}, sale.Paid, "", sale.Paid, nil},
		{"authorize late", plan{"authorize": {late}}, sale.Cancelled, interrupted, sale.Cancelled, nil},
		{"authorize hangs", plan{"authorize": {hangs}}, sale.Reserved, unfinished, sale.Cancelled, nil},
		{"payment absent", plan{"authorize": {absent}, "resolve": {absent}, "void": {absent}}, sale.Cancelled, interrupted, sale.Cancelled, []string{"resolve", "void"}},
		{"authorize lost, then absent", plan{"authorize": {lost}, "resolve": {absent}}, sale.Reserved, unfinished, sale.Paid, nil},
		{"authorize late, then absent", plan{"authorize": {late}, "resolve": {absent}}, sale.Reserved, unfinished, sale.Paid, nil},
		{"authorize lost, the stock is gone", plan{"authorize": {lost}, "reserve": {works, fails}}, sale.Paid, "", sale.Paid, []string{"reserve"}},
		{"CONFIRMED not written", plan{"CONFIRMED": {fails}}, sale.Paid, "", sale.Paid, nil},
		{"CONFIRMED written, answer lost", plan{"CONFIRMED": {lost}}, sale.Paid, "", sale.Paid, nil},

		{"commit fails", plan{"commit": {fails}}, sale.Confirmed, "", sale.Paid, nil},
		{"commit lost", plan{"commit": {lost}}, sale.Confirmed, "", sale.Paid, nil},
		{"commit hangs", plan{"commit": {hangs}}, sale.Confirmed, "", sale.Paid, nil},
		{"capture fails often", plan{"capture": {fails, fails, lost, fails}}, sale.Confirmed, "", sale.Paid, nil},
		{"capture lost", plan{"capture": {lost}}, sale.Confirmed, "", sale.Paid, nil},
		{"capture late", plan{"capture": {late}}, sale.Confirmed, "", sale.Paid, nil},
		{"capture hangs", plan{"capture": {hangs}}, sale.Confirmed, "", sale.Paid, nil},
		{"PAID not written", plan{"PAID": {fails}}, sale.Paid, "", sale.Paid, nil},
		{"PAID written, answer lost", plan{"PAID": {lost}}, sale.Paid, "", sale.Paid, nil},

		{"decision not written", plan{"reserve": {fails}, "GIVEN_UP": {fails}}, sale.Paid, "", sale.Paid, nil},
		{"CANCELLED not written", plan{"reserve": {fails}, "CANCELLED": {fails}}, sale.Cancelled, interrupted, sale.Cancelled, nil},
		{"CANCELLED written, answer lost", plan{"reserve": {fails}, "CANCELLED": {lost}}, sale.Cancelled, interrupted, sale.Cancelled, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := plan{} // the engines share the cases
			for step, faults := range c.plan {
				p[step] = slices.Clone(faults)
			}
			s := newShop(t, db, p)
			cart := s.newCart()
			answer, err := s.svc.Place(context.Background(), request(cart))
			if o, _ := s.placed(t, cart); o.State != c.state || reason(err) != c.told {
				t.Errorf("%q, told %v; want %q, told %q\n%s", o.State, err, c.state, c.told, s.log)
			}
			for step, faults := range p {
				if unasked := slices.Contains(c.unasked, step); unasked && len(faults) == 0 {
					t.Errorf("%s: none of the plan's faults are left", step)
				}
			}
			s.settle(t)
			if o, _ := s.placed(t, cart); o.State != c.end {
				t.Errorf("at last %q, want %q\n%s", o.State, c.end, s.log)
			}
			s.mustHold(t, cart)
			s.mustAnswer(t, cart, answer, err)
			for step, faults := range p {
				if !slices.Contains(c.unasked, step) && len(faults) > 0 {
					t.Errorf("%s: %v of the plan's faults are left", step, faults)
				}
			}
		})
	}
}

// testAnyFaults breaks several steps of one checkout at once, and perhaps calls the order off in the middle of it.
func testAnyFaults(t *testing.T, db *sql.DB) {
	steps := []string{
		"redeem", "reserve", "authorize", "resolve", "commit", "commit coupon", "capture", "release", "restock", "release coupon", "void", "refund",
	}
	writes := []string{"create", "RESERVED", "CONFIRMED", "PAID", "CANCELLED", "GIVEN_UP", "REFUND_A", "PARTIALLY_REFUNDED", "claim"}
	rapid.Check(t, func(r *rapid.T) {
		p := plan{}
		for _, s := range steps {
			p[s] = rapid.SliceOfN(rapid.SampledFrom([]fault{works, works, works, fails, lost, late, absent}), 0, 2).Draw(r, s)
		}
		for _, s := range writes {
			p[s] = rapid.SliceOfN(rapid.SampledFrom([]fault{works, works, works, fails, lost}), 0, 1).Draw(r, s)
		}
		s := newShop(r, db, p)
		s.sold["MUG-1"] = rapid.IntRange(0, 9).Draw(r, "sold out") == 0
		cart := s.newCart()
		req := request(cart)
		if rapid.Bool().Draw(r, "coupon") {
			req.Coupon = "TENTH"
		}
		if rapid.IntRange(0, 3).Draw(r, "declined") == 0 {
			req.Token = sale.NewToken("tok_declined")
		}
		off := rapid.SampledFrom([]string{"", "", "reserve", "authorize", "commit", "capture", "after"}).Draw(r, "called off")
		call := func() {
			if o, there := s.placed(r, cart); there {
				_, _ = s.svc.Cancel(context.Background(), o.ID) // it may fail; what becomes of the order is looked at below
			}
		}
		s.hook = func(step string) {
			if step == off {
				off, s.hook = "", nil
				call()
			}
		}
		answer, err := s.svc.Place(context.Background(), req)
		if s.hook = nil; off == "after" {
			call()
		}
		s.settle(r)
		s.mustHold(r, cart)
		s.mustAnswer(r, cart, answer, err)
		if log := s.log.String(); strings.Contains(log, req.Token.Secret()) {
			r.Errorf("the payment token is in the log:\n%s", log)
		}
	})
}
