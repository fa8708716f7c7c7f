package shop

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// fault is something bad, done while customers shop.
type fault struct {
	name   string
	short  bool // is done in the short form too
	do     func(t *testing.T, w *world)
	undo   func(w *world)               // after it is judged; may be nil
	choose func(r *rand.Rand) visit     // what the customers do; nil for the usual
	check  func(t *testing.T, w *world) // what else has to hold; may be nil
}

// kill is a host that dies of SIGKILL.
func kill(host, name string, short bool) fault {
	return fault{name: "kill -9 " + name, short: short, do: func(_ *testing.T, w *world) { w.kill9(host) }}
}

func onPostgres() []fault {
	return []fault{
		kill("order", "order", false),
		kill("payment", "payment", false),
		kill("inventory", "inventory", false),
		kill("rest", "catalog, pricing, cart, fulfilment", false),
		{name: "payment stopped for 8 s", do: func(t *testing.T, w *world) { w.freeze(t, "payment", 8*time.Second) }},
		{name: "payment takes 5 s for each call, for 15 s", do: slowPayment},
		{name: "order stopped for 12 s: its claims end", do: func(t *testing.T, w *world) { w.freeze(t, "order", 12*time.Second) }},
		{name: "NATS away for 30 s", do: func(t *testing.T, w *world) { w.restartNATS(t, 30*time.Second) }},
		{name: "NATS away for 5 s", short: true, do: func(t *testing.T, w *world) { w.restartNATS(t, 5*time.Second) }},
		{name: "PostgreSQL crashes (-m immediate)", short: true, do: func(_ *testing.T, w *world) { w.crashPostgres() }},
		{name: "Consul away for 10 s, comes back empty", do: func(t *testing.T, w *world) { w.restartConsul(t, 10*time.Second) }},
		{name: "clocks 3 min apart, two order processes 10 s", do: skewClocks, undo: rightClocks},
		{name: "the provider charges, and its answers are lost", do: func(t *testing.T, _ *world) { lull(t, 8*time.Second) }, choose: unheard},
		{name: "webhooks twice, late and out of order", do: startWebhooks, undo: stopWebhooks, choose: hooked, check: webhooksCame},
	}
}

func onSQLite() []fault {
	return []fault{
		kill("order", "order", false),
		kill("payment", "payment", false),
		kill("inventory", "inventory", false),
		kill("rest", "catalog, pricing, cart, fulfilment", false),
		{name: "the disk of SQLite and NATS full for 10 s", do: fullDisk},
		{name: "the leader of three Consul servers lost", do: func(t *testing.T, w *world) {
			w.timeline.notef("the leader of the Consul servers dies; another was elected after %v", w.ring.loseLeader(t))
		}},
	}
}

func inOneProcess() []fault {
	return []fault{
		kill(everything, "everything", true),
		{name: "everything stopped for 8 s", do: func(t *testing.T, w *world) { w.freeze(t, everything, 8*time.Second) }},
	}
}

// part does the fault with customers of its own, and judges it.
func (f fault) part() part {
	return part{f.name, f.short, func(t *testing.T, w *world, b *table, seed uint64) {
		if f.choose == nil {
			f.choose = choose
		}
		customers := w.shopping(t, 8, seed, f.choose)
		lull(t, 2*time.Second)
		w.timeline.notef("%s", f.name)
		f.do(t, w)
		recovery := customers.served(t, time.Now())
		b.judge(t, w, f.name, customers.stop(), recovery)
		if f.check != nil {
			f.check(t, w)
		}
		if f.undo != nil {
			f.undo(w)
		}
	}}
}

// unheard are customers whose provider does as it is asked, and is not heard.
func unheard(r *rand.Rand) visit {
	v := choose(r)
	v.token = []string{
		"tok_timeout_after_charge", "tok_timeout_after_charge_3", "tok_hang_after_charge", "tok_capture_timeout_2", "tok_void_timeout_2", "tok_refund_timeout_2",
	}[r.IntN(6)]
	return v
}

// slowPayment makes the payment module as slow as its callers are patient.
func slowPayment(t *testing.T, w *world) {
	w.hosts["payment"].Kill()
	w.start("payment", "payment.authorize.before=sleep(5s);payment.capture.before=sleep(5s);payment.void.before=sleep(5s);payment.refund.before=sleep(5s)")
	lull(t, 15*time.Second)
	w.kill9("payment")
}

// skewClocks sets every process's clock to another time. Two processes run orders, and one of them believes that the claims of the other
// have ended as soon as they are made.
func skewClocks(t *testing.T, w *world) {
	w.layout[otherOrder] = "order"
	for host, skew := range map[string]string{"payment": "90s", "inventory": "-90s", "rest": "30s", "order": "-5s", otherOrder: "5s"} {
		w.env[host] = []string{"CLEAVE_TEST_CLOCK_SKEW=" + skew}
		if host != otherOrder {
			w.hosts[host].Kill()
		}
		w.start(host, "")
	}
	lull(t, 15*time.Second)
}

func rightClocks(w *world) {
	w.hosts[otherOrder].Kill()
	delete(w.hosts, otherOrder)
	delete(w.layout, otherOrder)
	for _, host := range w.names() {
		delete(w.env, host)
		w.kill9(host)
	}
}

// fullDisk lets nothing more be written for a while. NATS gives its storage up when it can't write and doesn't take it up again by itself: it is
// started anew, and so is what ended.
func fullDisk(t *testing.T, w *world) {
	empty := w.small.fill(t)
	w.timeline.notef("the disk is full")
	lull(t, 10*time.Second)
	empty()
	w.timeline.notef("the disk has room")
	noticed := false
	for _, host := range w.names() {
		noticed = noticed || strings.Contains(w.hosts[host].Output(), "disk is full") // SQLite's words
	}
	if !noticed {
		t.Error("nobody noticed that the disk was full")
	}
	w.restartNATS(t, 0)
	for _, host := range w.names() {
		if w.hosts[host].Exited() {
			w.start(host, "")
		}
	}
}
