package resilience

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

const (
	goods    = 500             // products in the shop: a page of all of them is work
	deadline = 2 * time.Second // of a page
)

// stuffed starts the shop in one process, with so many products that a page of them is real work.
func stuffed(t *testing.T) *shop {
	t.Helper()
	admin := harness.FreeAddr(t)
	s := &shop{System: harness.OneProcess(t, binary.Build(t), nil, "--admin-listen", admin), reads: newClient(10 * time.Second), admin: admin}
	var csv strings.Builder
	csv.WriteString("Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams," +
		"Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Status\n")
	for i := range goods {
		fmt.Fprintf(&csv, "thing-%d,Thing %d,<p>"+strings.Repeat("It is of use. ", 60)+"</p>,Nordwerk,,,tag,true,Title,Default Title,THING-%d,100,shopify,10,deny,9.90,active\n", i, i, i)
	}
	file := filepath.Join(t.TempDir(), "products.csv")
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ImportFrom(file)
	return s
}

// decided shows that an operator's word is in force while the process runs, that it can be seen, and that a wrong one changes nothing.
func (s *shop) decided(t *testing.T) {
	t.Helper()
	const method = "shop.catalog.v1.Catalog/ListProducts"
	page := func() string {
		var raw []byte
		s.browse(t.Context())
		ask(t.Context(), s.reads, http.MethodGet, "http://"+s.admin+"/resilience", "", &raw)
		return string(raw)
	}
	if code := s.Start("resilience", "set", method, `{"bulkhead": 4321}`).Wait(time.Minute); code != 0 {
		t.Fatalf("set ended with %d", code)
	}
	harness.Eventually(t, 10*time.Second, "the override is in force", func() bool {
		return strings.Contains(page(), `"operator: `+method+`"`) && strings.Contains(page(), "4321")
	})
	if code := s.Start("resilience", "set", method, `{"bulkhead": 0}`).Wait(time.Minute); code != 2 {
		t.Errorf("a wrong override: exit code %d", code)
	}
	store := filepath.Join(s.DataDir(), "resilience.json") // past the command
	if err := os.WriteFile(store, []byte(`{"`+method+`": {"bulkhead": 0}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 10*time.Second, "the wrong one is shown, and the last good one stays", func() bool {
		return strings.Contains(page(), "bulkhead is 0") && strings.Contains(page(), "4321")
	})
	show := s.Start("resilience", "show", "ListProducts", "-o", "json")
	if code := show.Wait(time.Minute); code != 0 || !strings.Contains(show.Output(), method) {
		t.Errorf("show: %d, %s", code, show.Output())
	}
	if code := s.Start("resilience", "unset", method).Wait(time.Minute); code != 0 {
		t.Fatalf("unset ended with %d", code)
	}
	harness.Eventually(t, 10*time.Second, "it is taken back", func() bool { return !strings.Contains(page(), "4321") })
}

func (s *shop) browse(ctx context.Context) answer {
	return ask(ctx, s.reads, http.MethodGet, fmt.Sprintf("%s/v1/products?page_size=%d", s.Base, goods), "", nil)
}

// Whoever is let in gets an answer in time, whatever is asked besides; the others hear at once that they are not.
func TestAnOverloadCostsOnlyWhatIsTooMuch(t *testing.T) {
	s := apart(t, func() *shop { return stuffed(t) })
	s.decided(t)
	measure, run := time.Second, 1500*time.Millisecond
	if full() {
		measure, run = 10*time.Second, 15*time.Second
	}
	users := func(ctx context.Context) bool { return s.browse(ctx).status == http.StatusOK }
	closed(t.Context(), 8, measure/2, users) // warm
	capacity := closed(t.Context(), 8, measure, users)
	harness.Figure(t, "overload_capacity", capacity, 1e6, "1/s")
	fmt.Printf("table %-8s %8s %8s %8s %12s %12s %12s\n", "load", "sent/s", "good/s", "503/s", "accepted p99", "503 p50", "503 p99")
	peak, least := capacity, math.Inf(1)
	var late, accepted, lost int
	var slowest, usual time.Duration
	for _, times := range []float64{1, 2, 4, 8} {
		var tape tape
		open(t.Context(), times*capacity, run, func(ctx context.Context) { tape.add(s.browse(ctx)) })()
		sent, good, p99 := tape.count(deadline)
		refused, none := tape.of(http.StatusServiceUnavailable), tape.of(0)
		ok := len(tape.of(http.StatusOK))
		accepted, late, lost = accepted+ok, late+ok-good, lost+len(none)
		rate := float64(good) / run.Seconds()
		if times > 1 {
			least = min(least, rate)
			usual, slowest = max(usual, percentile(refused, 0.5)), max(slowest, percentile(refused, 0.99))
		}
		peak = max(peak, rate)
		fmt.Printf("table %-8s %8.0f %8.0f %8.0f %12s %12s %12s\n", fmt.Sprintf("%gx", times), float64(sent)/run.Seconds(), rate,
			float64(len(refused))/run.Seconds(), p99.Round(time.Millisecond), percentile(refused, 0.5).Round(time.Millisecond), percentile(refused, 0.99).Round(time.Millisecond))
	}
	harness.Figure(t, "overload_goodput_kept", 100*least/peak, 100, "%")
	harness.Figure(t, "overload_accepted_late", 100*float64(late)/float64(max(accepted, 1)), 100, "%")
	harness.Figure(t, "overload_refused_p50", float64(usual.Microseconds())/1000, 1e6, "ms")
	harness.Figure(t, "overload_refused_p99", float64(slowest.Microseconds())/1000, 1e6, "ms")
	harness.Figure(t, "overload_unanswered", float64(lost), 1e6, "requests")
}
