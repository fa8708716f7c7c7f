package shop

import (
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"github.com/cleavehq/cleave/test/harness"
)

// lastUnits lets many buy the last pieces of something, one each and at once: as many orders as pieces, and a clean refusal for everyone
// else. What they were told must have an order in which one piece after the other is sold, and nobody is refused while there is one.
func lastUnits(t *testing.T, w *world, b *table, _ uint64) {
	const buyers, pieces = 200, 10
	carts := make([]string, buyers)
	v := visit{sku: scarce, quantity: 1, token: "tok_visa"}
	var all sync.WaitGroup
	for i := range carts {
		all.Go(func() {
			var ok bool
			if carts[i], ok = w.fill(t.Context(), v); !ok {
				t.Error("a cart could not be filled")
			}
		})
	}
	all.Wait()
	visits, ops := make([]visit, buyers), make([]porcupine.Operation, buyers)
	begin := make(chan struct{})
	zero := time.Now()
	for i, cart := range carts {
		all.Go(func() {
			<-begin
			v := v
			v.request, v.begun = uuid.Must(uuid.NewV7()).String(), time.Now()
			w.checkout(t.Context(), cart, &v)
			v.ended = time.Now()
			visits[i] = v
			ops[i] = porcupine.Operation{
				ClientId: i, Input: nil, Output: v.acknowledged(), Call: v.begun.Sub(zero).Nanoseconds(), Return: v.ended.Sub(zero).Nanoseconds(),
			}
		})
	}
	close(begin)
	all.Wait()
	sold, refused := 0, 0
	for _, v := range visits {
		switch {
		case v.acknowledged():
			sold++
		case v.reason == "OUT_OF_STOCK":
			refused++
		default:
			t.Errorf("a buyer got %d %s", v.status, v.reason)
		}
	}
	if sold != pieces || refused != buyers-pieces {
		t.Errorf("%d orders and %d refusals, want %d and %d", sold, refused, pieces, buyers-pieces)
	}
	result := porcupine.CheckOperationsTimeout(shelf(pieces), ops, time.Minute)
	linear := map[porcupine.CheckResult]float64{porcupine.Ok: 1}[result]
	if !w.sqlite { // one line each: the other worlds are checked all the same
		harness.Figure(t, "shop_last_units_sold", float64(sold), pieces, "orders")
		harness.Figure(t, "shop_last_units_refused", float64(refused), buyers-pieces, "buyers")
		harness.Figure(t, "shop_last_units_linearizable", linear, 1, "bool")
	}
	if result != porcupine.Ok {
		t.Errorf("what the buyers were told is not linearizable: %s", result)
	}
	b.judge(t, w, "200 buyers, 10 units", visits, 0)
}

// shelf is the model of so many pieces: a sale takes one, and a refusal says that there is none.
func shelf(pieces int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return pieces },
		Step: func(state, _, output any) (bool, any) {
			left, _ := state.(int)
			if sold, _ := output.(bool); sold {
				return left > 0, left - 1
			}
			return left == 0, left
		},
	}
}

// The model would notice a refusal too many and a sale too many.
func TestShelfModel(t *testing.T) {
	op := func(from, to int64, sold bool) porcupine.Operation {
		return porcupine.Operation{Output: sold, Call: from, Return: to}
	}
	for _, c := range []struct {
		name string
		ok   bool
		ops  []porcupine.Operation
	}{
		{"one after the other", true, []porcupine.Operation{op(0, 1, true), op(2, 3, false)}},
		{"at once", true, []porcupine.Operation{op(0, 3, false), op(1, 2, true)}},
		{"refused while there is one", false, []porcupine.Operation{op(0, 1, false), op(2, 3, true)}},
		{"sold twice", false, []porcupine.Operation{op(0, 1, true), op(2, 3, true)}},
	} {
		if got := porcupine.CheckOperations(shelf(1), c.ops); got != c.ok {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// doubleClick sends one checkout many times at once: one order, and everybody is told of the same.
func doubleClick(t *testing.T, w *world, b *table, _ uint64) {
	const carts, clicks = 5, 8
	var mu sync.Mutex
	var visits []visit
	var all sync.WaitGroup
	for range carts {
		all.Go(func() {
			v := visit{sku: "MUG", quantity: 1, token: "tok_slow_300", begun: time.Now(), request: uuid.Must(uuid.NewV7()).String()}
			cart, ok := w.fill(t.Context(), v)
			if !ok {
				t.Error("a cart could not be filled")
			}
			orders := make([]visit, clicks)
			var clicking sync.WaitGroup
			for i := range orders {
				clicking.Go(func() {
					orders[i] = v
					w.checkout(t.Context(), cart, &orders[i])
				})
			}
			clicking.Wait()
			for _, o := range orders {
				if !o.acknowledged() || o.order != orders[0].order {
					t.Errorf("clicked %d times: %d %s %s and %s", clicks, o.status, o.reason, o.order, orders[0].order)
				}
			}
			// Another request for the same cart buys nothing more.
			other := visit{token: "tok_visa", request: uuid.Must(uuid.NewV7()).String()}
			w.checkout(t.Context(), cart, &other)
			if other.acknowledged() {
				t.Errorf("one cart has the orders %s and %s", orders[0].order, other.order)
			}
			mu.Lock()
			defer mu.Unlock()
			visits = append(visits, orders[0])
		})
	}
	all.Wait()
	b.judge(t, w, "8 clicks on one checkout", visits, 0)
}
