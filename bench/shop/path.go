package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// steps are the parts of a checkout, one after the other: together they are all of it. The moments between them are the client's and
// those of the order's own history, which writes down when a step's calls were answered, just before it commits. So the time of a commit is
// in the step that follows it.
func steps() []string {
	return []string{
		"make the cart", "put a piece in", "to PENDING: read the cart, quote it", "to RESERVED: write the order, hold the stock",
		"to CONFIRMED: write it, have the money held", "to PAID: write it, take goods and money", "write it, answer",
	}
}

// path is how long each of the steps of one checkout took.
type path []time.Duration

// perTurn is of how many orders of a turn the history is read.
const perTurn = 40

// paths reads the history of some of the orders, evenly spread.
func (s *system) paths(ctx context.Context, sold []bought) ([]path, error) {
	var out []path
	for i := 0; i < len(sold); i += max(1, len(sold)/perTurn) {
		var history struct {
			Events []event `json:"events"`
		}
		if err := s.client.do(ctx, http.MethodGet, "/v1/orders/"+sold[i].order+"/events", nil, &history); err != nil {
			return nil, err
		}
		p, err := sold[i].path(history.Events)
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, p)
		}
	}
	return out, nil
}

// event is one of an order's history.
type event struct {
	To string    `json:"to"`
	At time.Time `json:"at"`
}

// path is nil when the order was answered before it was PAID: then the steps overlap.
func (b bought) path(history []event) (path, error) {
	if !b.paid {
		return nil, nil //nolint:nilnil // there is none, and nothing is wrong
	}
	at := map[string]time.Time{}
	for _, e := range history {
		if _, again := at[e.To]; !again {
			at[e.To] = e.At
		}
	}
	moments := []time.Time{b.begun, b.carted, b.filled}
	for _, s := range []string{"PENDING", "RESERVED", "CONFIRMED", "PAID"} {
		t, there := at["ORDER_STATE_"+s]
		if !there {
			return nil, fmt.Errorf("the history of order %s doesn't know when it was %s", b.order, s)
		}
		moments = append(moments, t)
	}
	moments = append(moments, b.placed)
	var p path
	for i, m := range moments[1:] {
		p = append(p, m.Round(0).Sub(moments[i].Round(0))) // by the wall clock
	}
	return p, nil
}
