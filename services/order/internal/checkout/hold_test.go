package checkout_test

import (
	"context"
	"strings"

	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// mustHold ends every test of an order that is at rest: what is written down, what the other modules hold, and what was told agree, whatever
// went wrong on the way.
func (s *shop) mustHold(t rapid.TB, cart string) {
	t.Helper()
	s.land()
	o, there := s.placed(t, cart)
	if !there {
		for id, state := range s.stock {
			t.Errorf("no order, but stock %s %s", id, state)
		}
		return
	}
	goods, use, money, left := s.stock[o.ID], s.coupons[o.ID], "", int64(0)
	if p := s.payments[o.ID]; p != nil {
		money, left = p.state, p.captured-p.back
		if p.amount != o.Total {
			t.Errorf("%+v were authorised for %+v", p.amount, o.Total)
		}
		if p.captured != o.Captured.Minor || p.back != o.Refunded.Minor {
			t.Errorf("the provider took %d and gave back %d, the order says %d and %d", p.captured, p.back, o.Captured.Minor, o.Refunded.Minor)
		}
	}
	switch {
	case !o.Done():
		t.Errorf("the order isn't at rest: %+v\n%s", o, s.log)
	case o.State == sale.Cancelled:
		if goods == reserved || goods == committed || use == reserved || use == committed || money == held || left != 0 {
			t.Errorf("a cancelled order has goods %q, coupon %q, money %q, %d left\n%s", goods, use, money, left, s.log)
		}
		if o.Why.None() {
			t.Error("a cancelled order doesn't say why")
		}
	default:
		if goods != committed || money != captured || o.Coupon != "" && use != committed {
			t.Errorf("a %s order has goods %q, coupon %q, money %q", o.State, goods, use, money)
		}
	}
	s.mustBeWrittenDown(t, o)
	s.mustBeTold(t, o)
}

// mustBeWrittenDown: the audit trail has no gap and no illegal step.
func (s *shop) mustBeWrittenDown(t rapid.TB, o sale.Order) {
	t.Helper()
	history, err := s.store.History(context.Background(), o.ID)
	if err != nil || len(history) == 0 {
		t.Fatalf("history %v, %v", history, err)
	}
	at := sale.State("")
	for i, e := range history {
		if e.Sequence != int64(i+1) || e.From != at || e.From != e.To && !sale.May(e.From, e.To) {
			t.Errorf("entry %d is %+v after %s", i+1, e, at)
		}
		at = e.To
	}
	if at != o.State || o.Sequence != int64(len(history)) {
		t.Errorf("the history ends in %s with %d entries, the order is %s with %d", at, len(history), o.State, o.Sequence)
	}
}

// told returns the names of the order's events, in their order.
func (s *shop) told(t rapid.TB, id string) (names []string) {
	t.Helper()
	rows, err := s.db.Query(`SELECT topic FROM outbox WHERE key = $1 ORDER BY seq`, id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var topic string
		if err := rows.Scan(&topic); err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(topic, "shop.order.v1."))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

// mustBeTold: each thing that happened was told once, and nothing else.
func (s *shop) mustBeTold(t rapid.TB, o sale.Order) {
	t.Helper()
	told := map[string]int{}
	for _, name := range s.told(t, o.ID) {
		told[name]++
	}
	history, err := s.store.History(context.Background(), o.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, e := range history {
		switch e.Reason {
		case sale.WasConfirmed:
			want["OrderConfirmed"]++
		case sale.MoneyCaptured:
			want["OrderPaid"]++
		case sale.WasCancelled:
			want["OrderCancelled"]++
		case sale.RefundDone:
			want["OrderRefunded"]++
		case sale.ParcelShipped:
			want["OrderShipped"]++
		case sale.GoodsReturned:
			want["OrderReturned"]++
		}
	}
	delete(told, "OrderDelivered") // for the last parcel only
	for name, n := range want {
		if told[name] != n {
			t.Errorf("%d %s, want %d", told[name], name, n)
		}
		delete(told, name)
	}
	if len(told) > 0 {
		t.Errorf("also told: %v", told)
	}
}

// mustAnswer compares what the caller was told with the order at rest.
func (s *shop) mustAnswer(t rapid.TB, cart string, answer sale.Order, err error) {
	t.Helper()
	o, _ := s.placed(t, cart)
	switch why := reason(err); {
	case err == nil:
		if answer.ID != o.ID || o.State == sale.Cancelled && o.Why.Reason != sale.ReasonCustomerRequest {
			t.Errorf("answered %s %s, kept %s %s (%+v)", answer.ID, answer.State, o.ID, o.State, o.Why)
		}
	case why == sale.ReasonCheckoutUnfinished: // everything may come of it
	case o.ID != "" && (o.State != sale.Cancelled || o.Why.Reason != why):
		t.Errorf("told %v, and the order is %s (%s)", err, o.State, o.Why.Reason)
	}
}
