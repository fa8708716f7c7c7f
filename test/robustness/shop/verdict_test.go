package shop

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// row is a line of the table: what a fault cost.
type row struct {
	fault                               string
	attempted, acknowledged, unanswered int
	lost, oversold, double, stuck       int
	recovery                            time.Duration
}

// table collects the rows, and what was broken.
type table struct {
	rows []row

	where, label        string // the world, and what goes before the name of a row
	seed                uint64
	killedAt, unreached int // failpoints

	mu    sync.Mutex
	broke []string
}

// print prints the rows, each line as one of those that test/prove passes on.
func (b *table) print() {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "fault\tattempted\tacknowledged\tunanswered\tlost\toversold\tdouble charges\tstuck\trecovery")
	for _, r := range b.rows {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f s\n", r.fault, r.attempted, r.acknowledged, r.unanswered, r.lost, r.oversold, r.double,
			r.stuck, r.recovery.Seconds())
	}
	_ = w.Flush() // a Builder takes everything
	for line := range strings.Lines(text.String()) {
		fmt.Print("table ", line)
	}
}

// figures prints the sums, and fails the test for what must be nothing.
func (b *table) figures(t testing.TB) {
	t.Helper()
	var all row
	for _, r := range b.rows {
		all.attempted += r.attempted
		all.acknowledged += r.acknowledged
		all.unanswered += r.unanswered
		all.lost += r.lost
		all.oversold += r.oversold
		all.double += r.double
		all.stuck += r.stuck
		all.recovery = max(all.recovery, r.recovery)
	}
	harness.Figure(t, "shop_faults", float64(len(b.rows)), 1e9, "rows")
	harness.Figure(t, "shop_failpoints_killed_at", float64(b.killedAt), 1e9, "failpoints")
	harness.Figure(t, "shop_failpoints_not_reached", float64(b.unreached), 0, "failpoints")
	harness.Figure(t, "shop_checkouts_attempted", float64(all.attempted), 1e9, "checkouts")
	harness.Figure(t, "shop_checkouts_acknowledged", float64(all.acknowledged), 1e9, "checkouts")
	harness.Figure(t, "shop_checkouts_unanswered", float64(all.unanswered), 1e9, "checkouts")
	harness.Figure(t, "shop_orders_lost", float64(all.lost), 0, "orders")
	harness.Figure(t, "shop_oversold", float64(all.oversold), 0, "laws")
	harness.Figure(t, "shop_double_charges", float64(all.double), 0, "orders")
	harness.Figure(t, "shop_orders_stuck", float64(all.stuck), 0, "orders")
	harness.Figure(t, "shop_recovery_worst", all.recovery.Seconds(), patience.Seconds(), "s")
}

// brokenf fails the test, and remembers why for the seed.
func (b *table) brokenf(t *testing.T, w *world, format string, args ...any) {
	t.Helper()
	what := fmt.Sprintf(format, args...)
	b.mu.Lock()
	b.broke = append(b.broke, what)
	b.mu.Unlock()
	w.timeline.notef("BROKEN: %s", what)
	t.Error(what)
}

// settle is how long what is under way may take: the payment module waits half a minute for an answer that is lost.
const settle = 75 * time.Second

// judge ends a fault: it looks for every order that a customer was told of, and checks the laws.
func (b *table) judge(t *testing.T, w *world, fault string, visits []visit, recovery time.Duration) {
	t.Helper()
	begin := time.Now()
	r := row{fault: b.label + fault, attempted: len(visits), recovery: recovery}
	laws := w.verify(t, settle)
	for _, v := range visits {
		switch {
		case v.acknowledged():
			r.acknowledged++
		case !v.refused():
			r.unanswered++
		}
	}
	r.lost = b.lookForOrders(t, w, visits)
	for _, l := range laws {
		switch {
		case isAny(l.Check, "inventory.stock", "inventory.sales", "inventory.reserved", "orders_have_their_stock", "stock_is_for_orders"):
			r.oversold += l.Broken
		case isAny(l.Check, "test_provider.one_charge", "payment.one_payment", "order.one_order", "charges_are_for_orders"):
			r.double += l.Broken
		case isAny(l.Check, "order.orders_are_finished", "payment.answers_came", "inventory.reservations_end"):
			r.stuck += l.Broken
		}
		b.brokenf(t, w, "%s: %s (%s) is broken %d times: %s", r.fault, l.Check, l.Law, l.Broken, strings.Join(l.Cases, "; "))
	}
	if r.acknowledged == 0 {
		b.brokenf(t, w, "%s: of %d customers none was served", r.fault, r.attempted)
	}
	w.timeline.notef("judged %s after %.1f s: %+v", r.fault, time.Since(begin).Seconds(), r)
	fmt.Fprintf(os.Stderr, "%s: judged in %.1f s\n", r.fault, time.Since(begin).Seconds())
	if len(laws) > 0 || r.lost > 0 {
		b.explain(t, w, visits)
	}
	b.rows = append(b.rows, r)
}

// explain prints what a person needs to understand what is broken: the seed, what was done and when, and what the customers say who have to do
// with it.
func (b *table) explain(t *testing.T, w *world, visits []visit) {
	t.Helper()
	all := strings.Join(b.broke, "\n")
	var about []string
	for _, v := range visits {
		if v.order != "" && strings.Contains(all, v.order) || strings.Contains(all, v.request) {
			var history object
			_, _ = w.Do(t.Context(), http.MethodGet, "/v1/orders/"+v.order+"/events", nil, &history)
			about = append(about, fmt.Sprintf("%s%+v\n    history: %v", w.timeline.at(v.begun), v, history["events"]))
		}
	}
	t.Logf("seed %d, in the world %s; run it again with CLEAVE_PROVE_SEED=%d\nWhat was done:\n%s\nThe customers:\n  %s", b.seed, b.where, b.seed,
		&w.timeline, strings.Join(about, "\n  "))
}

func isAny(check string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(check, p) })
}

// lookForOrders counts the orders that customers were told of and that aren't there, or were called off by someone else than the customer.
func (b *table) lookForOrders(t *testing.T, w *world, visits []visit) int {
	t.Helper()
	const atOnce = 8
	wrong := make([]string, len(visits))
	var all sync.WaitGroup
	for from := range atOnce {
		all.Go(func() {
			for i := from; i < len(visits); i += atOnce {
				if v := visits[i]; v.acknowledged() {
					wrong[i] = w.lost(t, v)
				}
			}
		})
	}
	all.Wait()
	lost := slices.DeleteFunc(wrong, func(s string) bool { return s == "" })
	for _, s := range lost {
		b.brokenf(t, w, "%s", s)
	}
	return len(lost)
}

// lost says what is wrong with an order that a customer was told of.
func (w *world) lost(t *testing.T, v visit) string {
	t.Helper()
	var o harness.Order
	status, err := w.Do(t.Context(), http.MethodGet, "/v1/orders/"+v.order, nil, &o)
	switch {
	case err != nil || status != http.StatusOK:
		return fmt.Sprintf("order %s was acknowledged, and now it is %d, %v", v.order, status, err)
	case o.State == "ORDER_STATE_CANCELLED" && (v.after != "cancel" || o.CancelReason != "CUSTOMER_REQUEST"):
		return fmt.Sprintf("order %s was acknowledged, and was cancelled for %s", v.order, o.CancelReason)
	default:
		return ""
	}
}
