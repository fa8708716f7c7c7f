package sale_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

func usd(minor int64) sale.Money { return sale.Money{Currency: "USD", Minor: minor} }

// model is what an order must be, said another way: by what was done to it, not by how it keeps that.
type model struct {
	captured, off, done          bool
	state                        sale.State // until it is captured
	shipped, delivered, returned map[string]int64
	open                         map[string]int64 // refunds that are asked for
	back                         int64
}

// TestTheStateMachine does anything to an order, in any order: what must not be done is refused and changes nothing, and the money adds up.
func TestTheStateMachine(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o, total := draw(r)
		now := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
		o.Open(now, time.Minute)
		m := &model{
			state: sale.Pending, shipped: map[string]int64{}, delivered: map[string]int64{}, returned: map[string]int64{}, open: map[string]int64{},
		}
		history := slices.Clone(o.Fresh())
		o.Kept(1)
		tick := func() time.Time { now = now.Add(time.Second); return now }
		forward := func(from, to sale.State, do func() error) func(*rapid.T) {
			return func(r *rapid.T) {
				may := m.state == from && !m.off && !m.captured
				if err := do(); (err == nil) != may {
					r.Fatalf("from %s to %s: %v", m.state, to, err)
				}
				if may {
					m.state = to
				}
			}
		}
		moves := map[string]func(*rapid.T){
			"reserve":   forward(sale.Pending, sale.Reserved, func() error { return o.Reserve(tick()) }),
			"authorize": forward(sale.Reserved, sale.Authorized, func() error { return o.Authorize("p", tick()) }),
			"confirm":   forward(sale.Authorized, sale.Confirmed, func() error { return o.Confirm(tick()) }),
			"capture": func(r *rapid.T) {
				may := m.state == sale.Confirmed && !m.off && !m.captured
				if err := o.Capture(tick()); (err == nil) != may {
					r.Fatalf("capture of %s: %v", m.state, err)
				}
				m.captured = m.captured || may
			},
			"give up": func(r *rapid.T) {
				left := m.captured && (sum(m.shipped)+sum(m.delivered)+sum(m.returned) > 0 || m.back == total && total > 0)
				err := o.GiveUp(sale.Refusal{Code: codes.FailedPrecondition, Reason: "NO"}, tick())
				if (err == nil) != (!m.off && !left) {
					r.Fatalf("give up: %v", err)
				}
				m.off = m.off || err == nil
			},
			"cancel": func(r *rapid.T) {
				if m.off && m.captured && !m.done && o.Refundable().Minor > 0 {
					must(r, o.AskRefund(o.CancelRefundID(), sale.Money{}, sale.ForCancel, tick()))
					m.open[o.Refunds[len(o.Refunds)-1].ID] = o.Refunds[len(o.Refunds)-1].Amount.Minor
				}
				may := m.off && !m.done && len(m.open) == 0 && (!m.captured || m.back == total)
				if err := o.Cancel(tick()); (err == nil) != may {
					r.Fatalf("cancel: %v", err)
				}
				m.done = m.done || may
			},
			"ask": func(r *rapid.T) {
				id := o.RefundID(rapid.StringN(1, 2, -1).Draw(r, "key"))
				amount := rapid.Int64Range(-1, total+1).Draw(r, "amount")
				_, known := o.Refund(id)
				may := m.captured && amount > 0 && amount <= total-m.back-sum(m.open)
				err := o.AskRefund(id, usd(amount), "x", tick())
				if !known && (err == nil) != may {
					r.Fatalf("ask for %d of %d, %d is back, %v asked for: %v", amount, total, m.back, m.open, err)
				}
				if !known && may {
					m.open[id] = amount
				}
			},
			"settle": func(r *rapid.T) {
				if len(m.open) == 0 {
					r.Skip("nothing is asked for")
				}
				id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.open))).Draw(r, "refund")
				to := rapid.SampledFrom([]sale.RefundState{sale.Done, sale.Done, sale.Refused}).Draw(r, "answer")
				o.SettleRefund(id, to, tick())
				o.SettleRefund(id, sale.Done, tick()) // the answer comes twice
				if to == sale.Done {
					m.back += m.open[id]
				}
				delete(m.open, id)
			},
			"ship":    m.parcel(&o, m.shipped, func(p []sale.Pieces) error { return o.Ship(p, tick()) }),
			"deliver": m.parcel(&o, m.delivered, func(p []sale.Pieces) error { return o.Deliver(p, tick()) }),
			"return": func(r *rapid.T) {
				before := len(o.Refunds)
				m.parcel(&o, m.returned, func(p []sale.Pieces) error { return o.Return(rapid.StringN(3, 3, -1).Draw(r, "return"), p, tick()) })(r)
				for _, back := range o.Refunds[before:] {
					m.open[back.ID] = back.Amount.Minor
				}
			},
			"": func(r *rapid.T) {
				m.check(r, &o, total, history, o.Fresh())
				history = append(history, o.Fresh()...)
				o.Kept(o.Version + 1)
			},
		}
		r.Repeat(moves)
	})
}

// draw makes a new order with any prices, and returns what it costs.
func draw(r *rapid.T) (sale.Order, int64) {
	o := sale.Order{ID: "o", Subtotal: usd(0), Discount: usd(0), Tax: usd(0), Total: usd(0)}
	for i := range rapid.IntRange(1, 3).Draw(r, "lines") {
		l := sale.Line{SKU: string(rune('A' + i)), Quantity: rapid.Int64Range(1, 4).Draw(r, "pieces"), Unit: usd(0), Discount: usd(0), Tax: usd(0)}
		l.Total = usd(rapid.Int64Range(0, 99).Draw(r, "total"))
		o.Lines = append(o.Lines, l)
		o.Total.Minor += l.Total.Minor
	}
	return o, o.Total.Minor
}

// parcel counts pieces of one line, perhaps too many.
func (m *model) parcel(o *sale.Order, counted map[string]int64, do func([]sale.Pieces) error) func(*rapid.T) {
	return func(r *rapid.T) {
		l := rapid.SampledFrom(o.Lines).Draw(r, "line")
		n := rapid.Int64Range(0, l.Quantity+1).Draw(r, "pieces")
		may := m.captured && n > 0 && counted[l.SKU]+n <= l.Quantity
		before := o.Clone()
		err := do([]sale.Pieces{{SKU: l.SKU, Quantity: n}})
		if !m.captured && m.off {
			may = err == nil // nothing of it can have left, and when it is told so all the same it is only written down
		}
		switch {
		case (err == nil) != may:
			r.Fatalf("%d of %s: %v", n, l.SKU, err)
		case may:
			counted[l.SKU] += n
		case !slices.Equal(before.Lines, o.Lines) || before.Sequence != o.Sequence:
			r.Fatalf("%v, but it was done", err)
		}
	}
}

// check compares the order with the model.
func (m *model) check(r *rapid.T, o *sale.Order, total int64, history, fresh []sale.Entry) {
	for i, e := range fresh {
		from := history[len(history)-1].To
		if i > 0 {
			from = fresh[i-1].To
		}
		if e.From != from || e.From != e.To && !sale.May(e.From, e.To) || e.Sequence != int64(len(history)+i+1) {
			r.Fatalf("entry %+v after %s", e, from)
		}
	}
	took := int64(0)
	if m.captured {
		took = total
	}
	if o.Captured != usd(took) || o.Refunded != usd(m.back) || o.Refundable() != usd(took-m.back-sum(m.open)) || m.back+sum(m.open) > took {
		r.Fatalf("captured %v, refunded %v, refundable %v; the model has %d, %d, %v", o.Captured, o.Refunded, o.Refundable(), took, m.back, m.open)
	}
	if want := m.stands(o, total); o.State != want || o.GivenUp() != m.off {
		r.Fatalf("%s, want %s", o.State, want)
	}
	rest := len(m.open) == 0 && (m.done || m.captured && !m.off)
	if o.Done() != rest {
		r.Fatalf("at rest: %v, want %v", o.Done(), rest)
	}
}

// stands is the state that the model says.
func (m *model) stands(o *sale.Order, total int64) sale.State {
	var pieces int64
	for _, l := range o.Lines {
		pieces += l.Quantity
	}
	switch {
	case m.done:
		return sale.Cancelled
	case !m.captured:
		return m.state
	case m.off:
		return o.State // it stays as it was when that was decided: check has seen that no step from there is written
	case m.back == total && total > 0:
		return sale.Refunded
	case sum(m.returned) == pieces:
		return sale.Returned
	case m.back > 0:
		return sale.PartiallyRefunded
	case sum(m.delivered) == pieces:
		return sale.Delivered
	}
	left := int64(0)
	for _, l := range o.Lines {
		left += max(m.shipped[l.SKU], m.delivered[l.SKU])
	}
	switch left {
	case 0:
		return sale.Paid
	case pieces:
		return sale.Shipped
	default:
		return sale.PartiallyShipped
	}
}

func sum(of map[string]int64) (n int64) {
	for _, v := range of {
		n += v
	}
	return n
}

func must(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(problem.From(err))
	}
}

// TestShares: in whatever portions a line comes back, what is paid back for it adds up to what it cost, and never before to more.
func TestShares(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := sale.Line{Quantity: rapid.Int64Range(1, 1_000_000).Draw(r, "pieces"), Total: usd(rapid.Int64Range(0, sale.MaxMinor).Draw(r, "total"))}
		var at, paid int64
		for at < l.Quantity {
			n := rapid.Int64Range(1, l.Quantity-at).Draw(r, "portion")
			back := l.Share(at+n).Minor - l.Share(at).Minor
			if back < 0 {
				r.Fatalf("%d pieces after %d give %d", n, at, back)
			}
			at, paid = at+n, paid+back
			if paid > l.Total.Minor {
				r.Fatalf("%d of %d is back", paid, l.Total.Minor)
			}
		}
		if paid != l.Total.Minor || l.Share(l.Quantity+1) != l.Total {
			r.Fatalf("%d of %d is back", paid, l.Total.Minor)
		}
	})
}
