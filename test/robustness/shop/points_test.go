package shop

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/services/order"
	"github.com/cleavehq/cleave/test/harness"
)

// points are where a process is killed, and which process that is.
func points() (out [][2]string) {
	if !full() {
		return [][2]string{
			{"order", "order.authorize.after"}, {"order", "order.paid.before"}, {"order", "outbox.publish.after"}, {"payment", "payment.authorize.after"},
		}
	}
	for _, p := range order.Failpoints() {
		// Only an order whose customer never comes back is looked at once more: those here do. The saga's own tests have that.
		if strings.HasPrefix(p, "order.looked.") {
			continue
		}
		out = append(out, [2]string{"order", p})
	}
	for _, p := range []string{"authorize", "capture", "void", "refund"} {
		out = append(out, [2]string{"payment", "payment." + p + ".before"}, [2]string{"payment", "payment." + p + ".after"})
	}
	for _, p := range []string{"outbox.publish.before", "outbox.publish.after", "outbox.mark.before", "outbox.mark.after"} {
		out = append(out, [2]string{"order", p}, [2]string{"inventory", p})
	}
	return append(out, [2]string{"rest", "inbox.apply.before"}, [2]string{"rest", "inbox.apply.after"})
}

// failpoints kills a process with SIGKILL at every step of the saga and of the relay, one after the other, while customers shop.
func failpoints(t *testing.T, w *world, b *table, seed uint64) {
	customers := w.shopping(t, 8, seed)
	var worst time.Duration
	var unreached []string
	reached := map[[2]string]bool{}
	for _, p := range points() {
		host, point := p[0], p[1]
		w.hosts[host].Kill()
		w.start(host, point+"=kill")
		if !ended(t.Context(), w.hosts[host], 90*time.Second) {
			unreached = append(unreached, point)
			w.kill9(host) // it is armed still
			continue
		}
		reached[p] = true
		died := time.Now()
		w.start(host, "")
		worst = max(worst, customers.served(t, died))
	}
	visits := customers.stop()
	harness.Figure(t, "shop_failpoints_killed_at", float64(len(reached)), 1e9, "failpoints")
	harness.Figure(t, "shop_failpoints_not_reached", float64(len(unreached)), 0, "failpoints")
	if len(unreached) > 0 {
		t.Errorf("nobody came to %s", strings.Join(unreached, ", "))
	}
	b.judge(t, w, "kill -9 at every step", visits, worst)
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
