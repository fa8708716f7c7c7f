// Package browser buys in the sample shop with a browser, Chromium, whose page is of another origin than the gateway's: EventSource and WebSocket
// on an order, WebSocket on a topic, through a gateway that is stopped and started again meanwhile.
package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cleavehq/cleave/test/harness"
)

//go:embed page.html
var page string

const patience = 2 * time.Minute

// seen is what the page saw.
type seen struct {
	Topic       []string `json:"topic"`
	TopicOpened int      `json:"topicOpened"`
	Watch       []string `json:"watch"`
	WatchOpened int      `json:"watchOpened"`
	WatchIDs    []string `json:"watchIds"`
	Drains      int      `json:"drains"`
	Socket      []string `json:"socket"`
	Closes      []int    `json:"closes"`
	Errors      []string `json:"errors"`
}

// visitor is a page in a browser.
type visitor struct {
	t   *testing.T
	ctx context.Context
	key string

	last seen
}

func visit(t *testing.T, url, key string) *visitor {
	t.Helper()
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(patience))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &visitor{t: t, ctx: ctx, key: key}
}

// eval runs a script of the page, waits for its promise, and returns what it comes to.
func eval[T any](v *visitor, script string) T {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("%s: %v", strings.ReplaceAll(script, v.key, "KEY"), err)
	}
	return out
}

func (v *visitor) until(what string, ok func(seen) bool) seen {
	v.t.Helper()
	harness.Eventually(v.t, patience, what, func() bool {
		v.last = eval[seen](v, "seen")
		return ok(v.last)
	})
	return v.last
}

func TestABrowser(t *testing.T) {
	var bin harness.Bin
	t.Cleanup(bin.Remove)
	s := harness.OneProcess(t, bin.Build(t), nil)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(page))
	}))
	t.Cleanup(site.Close)
	port, err := os.ReadFile(filepath.Join(s.DataDir(), "nats.port"))
	if err != nil {
		t.Fatal(err)
	}
	addr := harness.FreeAddr(t)
	edge := harness.NewClient(addr)
	gateway := func() *harness.Process {
		p := s.Start("gateway", "--listen", addr, "--cors-origins", site.URL, "--broker", "nats://127.0.0.1:"+strings.TrimSpace(string(port)))
		harness.Eventually(t, time.Minute, "the gateway is ready", func() bool { return edge.Ready(t.Context(), "/v1/products", "/events") })
		return p
	}
	first := gateway()
	_, sku, _, _ := s.InStock(t)
	v := visit(t, site.URL, s.Key)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page saw %+v", v.last)
		}
	})
	address, err := json.Marshal(harness.Address())
	if err != nil {
		t.Fatal(err)
	}
	eval[bool](v, fmt.Sprintf(`G = %q; KEY = %q; topic("shop.order.v1.OrderPaid"); true`, "http://"+addr, s.Key))
	v.until("the topic is open", func(s seen) bool { return s.TopicOpened == 1 })

	var bought []string
	buy := func() string {
		id := eval[string](v, fmt.Sprintf(`buy(%q, %s)`, sku, address))
		bought = append(bought, id)
		return id
	}
	id := buy()
	eval[bool](v, fmt.Sprintf(`watch(%q); stream(%q); true`, id, id))
	v.until("the order is paid, in three ways", func(s seen) bool {
		paid := func(m string) bool { return strings.Contains(m, `"to":"ORDER_STATE_PAID"`) }
		return slices.ContainsFunc(s.Watch, paid) && slices.ContainsFunc(s.Socket, paid) && slices.Contains(s.Topic, id)
	})

	// The gateway stops, in good order; somebody buys elsewhere meanwhile, and the order goes on.
	if code := first.Stop(time.Minute); code != 0 {
		t.Errorf("the gateway ended with %d:\n%s", code, first.Output())
	}
	before := v.until("the page was told to go", func(s seen) bool { return s.Drains == 1 && slices.Contains(s.Closes, 1001) })
	_, order, _ := s.PlaceOrder(t, s.NewCart(t, sku, 1), "tok_visa", harness.UUID(t))
	bought = append(bought, order.ID)
	s.Must(t, http.MethodPost, "/v1/orders/"+id+":cancel", map[string]any{}, nil)
	begun := time.Now()
	gateway()
	v.until("the page came back and missed nothing", func(s seen) bool {
		return s.WatchOpened > before.WatchOpened && slices.Contains(s.Topic, order.ID) &&
			slices.ContainsFunc(s.Watch, func(m string) bool { return strings.Contains(m, `"to":"ORDER_STATE_CANCELLED"`) })
	})
	back := time.Since(begun)
	buy()
	after := v.until("it goes on", func(s seen) bool { return len(s.Topic) >= len(bought) })

	missed, twice := 0, 0
	for _, id := range bought {
		switch n := len(slices.DeleteFunc(slices.Clone(after.Topic), func(got string) bool { return got != id })); {
		case n == 0:
			missed++
		case n > 1:
			twice++
		}
	}
	ids := slices.Compact(slices.Sorted(slices.Values(after.WatchIDs)))
	harness.Figure(t, "edge_browser_events_seen", float64(len(after.Topic)+len(after.Watch)+len(after.Socket)), 1000, "events")
	harness.Figure(t, "edge_browser_events_missed", float64(missed), 0, "events")
	harness.Figure(t, "edge_browser_events_twice", float64(twice+len(after.WatchIDs)-len(ids)), 0, "events")
	harness.Figure(t, "edge_browser_errors", float64(len(after.Errors)), 0, "frames")
	harness.Figure(t, "edge_browser_back_after", back.Seconds(), 60, "s")
}
