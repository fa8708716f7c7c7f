package fulfilment_test

import (
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/fulfilment/internal/rpc"
	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
	"github.com/cleavehq/cleave/services/fulfilment/internal/store"
)

// The law, delivered <= shipped <= packed <= ordered and returned <= returning <= shipped, the sums of the parcels, and the state, whatever is
// called in whatever order, on a real database of each kind.
func TestTheLawHolds(t *testing.T) {
	datatest.Each(t, "fulfilment", store.Migrations(), func(t *testing.T, db *sql.DB) {
		st, err := store.New(db, rpc.Emit)
		if err != nil {
			t.Fatal(err)
		}
		svc, err := shipping.New(shipping.Config{Store: st, Now: time.Now, NewID: func() (string, error) { return uuid.NewString(), nil }})
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(rt *rapid.T) { lawHolds(t, rt, db, st, svc) })
	}, outbox.Schema())
}

func lawHolds(t *testing.T, rt *rapid.T, db *sql.DB, st *store.Store, svc *shipping.Service) {
	ctx, order := t.Context(), uuid.NewString()
	m := &model{ordered: map[string]int64{}, parcels: map[string]*parcel{}, returns: map[string]*parcel{}}
	var lines []shipping.Line
	for _, sku := range []string{"A", "B"} {
		m.ordered[sku] = rapid.Int64Range(1, 4).Draw(rt, sku)
		lines = append(lines, shipping.Line{SKU: sku, Title: sku, Ordered: m.ordered[sku]})
	}
	within := func(what string, fn func(shipping.Tx) error) {
		if err := data.Tx(ctx, db, func(tx *sql.Tx) error { return fn(st.In(tx)) }); err != nil {
			rt.Fatalf("%s: %v", what, err)
		}
	}
	within("accept", func(tx shipping.Tx) error { return svc.Accept(ctx, tx, order, shipping.Address{}, lines) })
	agree := func(what string, want bool, err error) {
		if p := problem.From(err); p != nil && p.Reason == "INTERNAL" {
			rt.Fatalf("%s: %v", what, err)
		}
		if want != (err == nil) {
			rt.Fatalf("%s: the module says %v, the model %v", what, err, want)
		}
	}
	some := func(of map[string]*parcel) string {
		ids := append(m.ids(of), "nothing")
		return ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "id")]
	}
	draw := func() []shipping.Piece {
		var out []shipping.Piece
		for _, sku := range []string{"A", "B"} {
			if n := rapid.Int64Range(0, 3).Draw(rt, sku); n > 0 {
				out = append(out, shipping.Piece{SKU: sku, Quantity: n})
			}
		}
		return out
	}
	look := func(rt *rapid.T) {
		f, err := svc.Get(ctx, order)
		if err != nil {
			rt.Fatal(err)
		}
		m.look(rt, f)
	}
	rt.Repeat(map[string]func(*rapid.T){
		"look": look,
		"pack": func(*rapid.T) {
			pieces := draw()
			s, err := svc.Pack(ctx, order, pieces, "")
			agree("pack", m.pack(pieces, s.ID), err)
		},
		"ship": func(*rapid.T) {
			id := some(m.parcels)
			_, err := svc.Ship(ctx, id, "DHL", "")
			agree("ship", move(m.parcels[id], "packed", "shipped", "delivered"), err)
		},
		"deliver": func(*rapid.T) {
			id := some(m.parcels)
			_, err := svc.Deliver(ctx, id)
			agree("deliver", move(m.parcels[id], "shipped", "delivered"), err)
		},
		"unpack": func(*rapid.T) {
			id := some(m.parcels)
			_, err := svc.CancelShipment(ctx, id)
			agree("unpack", move(m.parcels[id], "packed", "cancelled"), err)
		},
		"announce": func(*rapid.T) {
			pieces := draw()
			r, err := svc.Announce(ctx, order, pieces, "", "")
			agree("announce", m.announce(pieces, r.ID), err)
		},
		"receive": func(*rapid.T) {
			id := some(m.returns)
			_, err := svc.Receive(ctx, id, true)
			agree("receive", move(m.returns[id], "announced", "received"), err)
		},
		"never came": func(*rapid.T) {
			id := some(m.returns)
			_, err := svc.CancelReturn(ctx, id)
			agree("never came", move(m.returns[id], "announced", "cancelled"), err)
		},
		"cancel": func(rt *rapid.T) {
			if rapid.IntRange(0, 9).Draw(rt, "rarely") > 0 {
				return
			}
			m.cancel()
			within("cancel", func(tx shipping.Tx) error { return second(svc.Cancel(ctx, tx, order)) })
		},
	})
	look(rt)
}

// model is a fulfilment as its parcels alone make it: what the module must agree with.
type model struct {
	ordered          map[string]int64
	parcels, returns map[string]*parcel
	gone             bool // cancelled
}

type parcel struct {
	pieces []shipping.Piece
	state  string
}

// look compares the module with the model, and both with the law.
func (m *model) look(rt *rapid.T, f shipping.Fulfilment) {
	if want := m.state(); f.State != want {
		rt.Fatalf("it is %s; the model is %s", f.State, want)
	}
	for _, l := range f.Lines {
		got := [5]int64{l.Packed, l.Shipped, l.Delivered, l.Returning, l.Returned}
		if want := m.counts(l.SKU); got != want {
			rt.Fatalf("%s has %v; the model %v", l.SKU, got, want)
		}
		if l.Delivered > l.Shipped || l.Shipped > l.Packed || l.Packed > l.Ordered || l.Returned > l.Returning || l.Returning > l.Shipped {
			rt.Fatalf("the law is broken: %+v", l)
		}
	}
}

func (m *model) ids(of map[string]*parcel) []string {
	var out []string
	for id := range of {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// sum counts the pieces of a SKU in parcels of these states.
func sum(of map[string]*parcel, sku string, states ...string) int64 {
	var n int64
	for _, p := range of {
		if slices.Contains(states, p.state) {
			for _, piece := range p.pieces {
				if piece.SKU == sku {
					n += piece.Quantity
				}
			}
		}
	}
	return n
}

func (m *model) counts(sku string) [5]int64 {
	return [5]int64{
		sum(m.parcels, sku, "packed", "shipped", "delivered"), sum(m.parcels, sku, "shipped", "delivered"), sum(m.parcels, sku, "delivered"),
		sum(m.returns, sku, "announced", "received"), sum(m.returns, sku, "received"),
	}
}

func (m *model) pack(pieces []shipping.Piece, id string) bool {
	if m.gone {
		return false
	}
	if len(pieces) == 0 {
		for sku, n := range m.ordered {
			if left := n - m.counts(sku)[0]; left > 0 {
				pieces = append(pieces, shipping.Piece{SKU: sku, Quantity: left})
			}
		}
	}
	for _, p := range pieces {
		if m.counts(p.SKU)[0]+p.Quantity > m.ordered[p.SKU] {
			return false
		}
	}
	if len(pieces) > 0 {
		m.parcels[id] = &parcel{pieces, "packed"}
	}
	return len(pieces) > 0
}

func (m *model) announce(pieces []shipping.Piece, id string) bool {
	for _, p := range pieces {
		if c := m.counts(p.SKU); c[3]+p.Quantity > c[1] {
			return false
		}
	}
	if len(pieces) > 0 {
		m.returns[id] = &parcel{pieces, "announced"}
	}
	return len(pieces) > 0
}

// move moves a parcel from one state to another; in the other, or a later one, it stays and that is fine.
func move(p *parcel, from, to string, later ...string) bool {
	switch {
	case p == nil:
		return false
	case p.state == from:
		p.state = to
		return true
	default:
		return p.state == to || slices.Contains(later, p.state)
	}
}

func (m *model) cancel() {
	for _, p := range m.parcels {
		if p.state == "packed" {
			p.state = "cancelled"
		}
	}
	m.gone = true
}

func (m *model) state() shipping.State {
	if m.gone {
		return shipping.Cancelled
	}
	shipped, delivered, left := true, true, false
	for sku, n := range m.ordered {
		c := m.counts(sku)
		shipped, delivered, left = shipped && c[1] == n, delivered && c[2] == n, left || c[1] > 0
	}
	switch {
	case delivered:
		return shipping.Delivered
	case shipped:
		return shipping.Shipped
	case left:
		return shipping.PartiallyShipped
	default:
		return shipping.Open
	}
}
