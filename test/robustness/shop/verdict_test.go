package shop

import (
	"fmt"
	"net/http"
	"os"
	"strings"
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

// table collects the rows.
type table struct{ rows []row }

func (b *table) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "fault\tattempted\tacknowledged\tunanswered\tlost\toversold\tdouble charges\tstuck\trecovery\t")
	for _, r := range b.rows {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f s\t\n", r.fault, r.attempted, r.acknowledged, r.unanswered, r.lost, r.oversold, r.double,
			r.stuck, r.recovery.Seconds())
	}
	_ = w.Flush()
}

// figures prints the sums, and fails the test for what must be nothing.
func (b *table) figures(t testing.TB) {
	t.Helper()
	var all row
	for _, r := range b.rows {
		all.attempted += r.attempted
		all.acknowledged += r.acknowledged
		all.lost += r.lost
		all.oversold += r.oversold
		all.double += r.double
		all.stuck += r.stuck
		all.recovery = max(all.recovery, r.recovery)
	}
	harness.Figure(t, "shop_checkouts_attempted", float64(all.attempted), 1e9, "checkouts")
	harness.Figure(t, "shop_checkouts_acknowledged", float64(all.acknowledged), 1e9, "checkouts")
	harness.Figure(t, "shop_orders_lost", float64(all.lost), 0, "orders")
	harness.Figure(t, "shop_oversold", float64(all.oversold), 0, "laws")
	harness.Figure(t, "shop_double_charges", float64(all.double), 0, "orders")
	harness.Figure(t, "shop_orders_stuck", float64(all.stuck), 0, "orders")
	harness.Figure(t, "shop_recovery_worst", all.recovery.Seconds(), patience.Seconds(), "s")
}

// settle is how long what is under way may take: the payment module waits half a minute for an answer that is lost.
const settle = 75 * time.Second

// judge ends a fault: it looks for every order that a customer was told of, and checks the laws.
func (b *table) judge(t *testing.T, w *world, fault string, visits []visit, recovery time.Duration) {
	t.Helper()
	r := row{fault: fault, attempted: len(visits), recovery: recovery}
	broken := w.verify(t, settle)
	for _, v := range visits {
		switch {
		case v.acknowledged():
			r.acknowledged++
			r.lost += w.lost(t, v)
		case !v.refused():
			r.unanswered++
		}
	}
	for _, l := range broken {
		switch {
		case isAny(l.Check, "inventory.stock", "inventory.sales", "inventory.reserved", "orders_have_their_stock", "stock_is_for_orders"):
			r.oversold += l.Broken
		case isAny(l.Check, "test_provider.one_charge", "payment.one_payment", "order.one_order", "charges_are_for_orders"):
			r.double += l.Broken
		case isAny(l.Check, "order.orders_are_finished", "payment.answers_came", "inventory.reservations_end"):
			r.stuck += l.Broken
		}
		t.Errorf("%s: %s is broken %d times: %s", fault, l.Check, l.Broken, strings.Join(l.Cases, "; "))
	}
	if r.acknowledged == 0 {
		t.Errorf("%s: of %d customers none was served", fault, r.attempted)
	}
	b.rows = append(b.rows, r)
}

func isAny(check string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(check, p) {
			return true
		}
	}
	return false
}

// lost is 1 when an order that a customer was told of isn't there, or was called off by someone else than the customer.
func (w *world) lost(t *testing.T, v visit) int {
	t.Helper()
	var o harness.Order
	status, err := w.Do(t.Context(), http.MethodGet, "/v1/orders/"+v.order, nil, &o)
	switch {
	case err != nil || status != http.StatusOK:
		t.Errorf("order %s was acknowledged, and now it is %d, %v", v.order, status, err)
	case o.State == "ORDER_STATE_CANCELLED" && (v.after != "cancel" || o.CancelReason != "CUSTOMER_REQUEST"):
		t.Errorf("order %s was acknowledged, and was cancelled for %s", v.order, o.CancelReason)
	default:
		return 0
	}
	return 1
}
