package shop

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/services/order"
	"github.com/cleavehq/cleave/test/harness"
)

// point is where a process is killed, and which process that is.
type point struct{ host, name string }

// allPoints are every step of the saga and of the relay, on both sides of each commit, call and publish; but the last look at an order whose
// customer never comes back: those here do.
func allPoints() (out []point) {
	if !full() {
		return []point{
			{"order", "order.authorize.after"}, {"order", "order.paid.before"}, {"order", "outbox.publish.after"}, {"payment", "payment.authorize.after"},
		}
	}
	for _, p := range order.Failpoints() {
		if !strings.HasPrefix(p, "order.looked.") {
			out = append(out, point{"order", p})
		}
	}
	for _, p := range []string{"authorize", "capture", "void", "refund"} {
		out = append(out, point{"payment", "payment." + p + ".before"}, point{"payment", "payment." + p + ".after"})
	}
	for _, p := range []string{"outbox.publish.before", "outbox.publish.after", "outbox.mark.before", "outbox.mark.after"} {
		out = append(out, point{"order", p}, point{"inventory", p})
	}
	return append(out, point{"rest", "inbox.apply.before"}, point{"rest", "inbox.apply.after"})
}

// somePoints are those at which another database may differ: around the commits.
func somePoints() []point {
	return []point{
		{"order", "order.create.after"}, {"order", "order.reserved.before"}, {"order", "order.confirmed.after"}, {"order", "order.paid.before"},
		{"order", "order.cancelled.before"}, {"payment", "payment.capture.after"}, {"inventory", "outbox.publish.after"}, {"rest", "inbox.apply.after"},
	}
}

// failpoints kills a process with SIGKILL at each point, one after the other, while customers shop.
func failpoints(name string, points func() []point) func(*testing.T, *world, *table, uint64) {
	return func(t *testing.T, w *world, b *table, seed uint64) {
		customers := w.shopping(t, 8, seed, choose)
		var worst time.Duration
		for _, p := range points() {
			host := w.host(p.host)
			w.hosts[host].Kill()
			if b.die(t, w, host, p.name) {
				died := time.Now()
				w.start(host, "")
				worst = max(worst, customers.served(t, died))
			}
		}
		b.judge(t, w, name, customers.stop(), worst)
	}
}

// die starts a host that is to be killed at a point, and waits for it. When nobody comes there it starts one without, and says false.
func (b *table) die(t *testing.T, w *world, host, point string) bool {
	t.Helper()
	limit, tries := 90*time.Second, 1
	if strings.HasPrefix(point, "payment.void.") {
		// Money is let go for orders that were interrupted while they asked for it: for that the process is killed once more, and again.
		limit, tries = 5*time.Second, 36
	}
	for range tries {
		w.start(host, point+"=kill")
		if ended(t.Context(), w.hosts[host], limit) {
			w.timeline.notef("%s has died at %s", host, point)
			b.killedAt++
			return true
		}
		w.hosts[host].Kill()
	}
	b.unreached++
	b.brokenf(t, w, "nobody came to %s", point)
	w.start(host, "")
	return false
}

// neverBack lets customers send a checkout once and go away for ever, while its process dies before it asks for the money. The order is
// given up; half a minute later somebody looks once more whether the money came to be held after all, and dies before and after that.
func neverBack(t *testing.T, w *world, b *table, _ uint64) {
	const customers = 6
	visits, carts := make([]visit, customers), make([]string, customers)
	for i := range visits {
		visits[i] = visit{sku: "TEA", quantity: 1, token: "tok_visa", request: uuid.Must(uuid.NewV7()).String(), once: true}
		var ok bool
		if carts[i], ok = w.fill(t.Context(), visits[i]); !ok {
			t.Fatal("a cart could not be filled")
		}
	}
	host := w.host("order")
	w.hosts[host].Kill()
	w.start(host, "order.authorize.before=kill")
	harness.Eventually(t, time.Minute, "the gateway routes to the orders", func() bool { return w.Ready(t.Context(), "/v1/orders") })
	var all sync.WaitGroup
	for i := range visits {
		all.Go(func() {
			visits[i].begun = time.Now()
			w.checkout(t.Context(), carts[i], &visits[i])
			visits[i].ended = time.Now()
		})
	}
	all.Wait()
	if !ended(t.Context(), w.hosts[host], 30*time.Second) {
		b.brokenf(t, w, "nobody came to order.authorize.before")
		w.hosts[host].Kill()
	}
	died := time.Now()
	for _, p := range []string{"order.looked.before", "order.looked.after"} {
		if b.die(t, w, host, p) {
			died = time.Now()
		}
	}
	w.start(host, "")
	last := w.shopping(t, 1, 1, choose)
	recovery := last.served(t, died)
	b.judge(t, w, "kill -9 at the last look", slices.Concat(visits, last.stop()), recovery)
}

// ended waits for a process to end.
func ended(ctx context.Context, p *harness.Process, limit time.Duration) bool {
	deadline, tick := time.After(limit), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !p.Exited() {
		select {
		case <-ctx.Done():
			return false
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}
