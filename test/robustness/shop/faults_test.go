package shop

import (
	"testing"
	"time"
)

// fault is something bad, done while customers shop.
type fault struct {
	name  string
	short bool // is done in the short run too
	do    func(t *testing.T, w *world)
}

func all() []fault {
	return []fault{
		{"kill -9 order", false, func(_ *testing.T, w *world) { w.kill9("order") }},
		{"kill -9 payment", false, func(_ *testing.T, w *world) { w.kill9("payment") }},
		{"kill -9 inventory", false, func(_ *testing.T, w *world) { w.kill9("inventory") }},
		{"kill -9 catalog, pricing, cart, fulfilment", false, func(_ *testing.T, w *world) { w.kill9("rest") }},
		{"payment stopped for 8 s", false, func(t *testing.T, w *world) { w.freeze(t, "payment", 8*time.Second) }},
		{"order stopped for 12 s: its claims end", false, func(t *testing.T, w *world) { w.freeze(t, "order", 12*time.Second) }},
		{"NATS away for 30 s", false, func(t *testing.T, w *world) { w.restartNATS(t, 30*time.Second) }},
		{"NATS away for 5 s", true, func(t *testing.T, w *world) { w.restartNATS(t, 5*time.Second) }},
		{"PostgreSQL crashes (-m immediate)", true, func(_ *testing.T, w *world) { w.crashPostgres() }},
		{"Consul away for 10 s, comes back empty", false, func(t *testing.T, w *world) { w.restartConsul(t, 10*time.Second) }},
	}
}

// faults does one after the other, each with customers of its own, and judges each.
func faults(t *testing.T, w *world, b *table, seed uint64) {
	for i, f := range all() {
		if !f.short && !full() {
			continue
		}
		customers := w.shopping(t, 8, seed+uint64(i))
		lull(t, 2*time.Second)
		f.do(t, w)
		recovery := customers.served(t, time.Now())
		b.judge(t, w, f.name, customers.stop(), recovery)
	}
}
