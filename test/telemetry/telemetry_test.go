// Package telemetry follows an order through a shop of several processes, as whoever runs it would: by its trace, its log and its metrics.
package telemetry

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	telemetry "github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/test/harness"
)

// shop is three processes over Consul and NATS: the gateway, a host that has the broker, and one that has some of the modules.
type shop struct {
	*harness.Client
	bin    string
	consul *harness.Consul
	flags  []string
	second *harness.Process
	again  []string // starts the second host again
}

// start starts a shop whose second host has these modules, and has more in its environment.
func start(t *testing.T, modules []string, env ...string) *shop {
	t.Helper()
	var bin harness.Bin
	t.Cleanup(bin.Remove)
	s := &shop{bin: bin.Build(t), consul: harness.StartConsul(t)}
	s.flags = []string{"--registry", "consul", "--consul-addr", s.consul.Addr}
	dir := t.TempDir()
	others := slices.DeleteFunc(harness.Modules(), func(m string) bool { return slices.Contains(modules, m) })
	first := s.run(t, nil, "run", "--modules", strings.Join(others, ","), "--host", "first", "--broker", "embedded", "--data-dir", dir)
	var note struct {
		Broker string `json:"broker"`
	}
	harness.Eventually(t, time.Minute, "the first host has its broker", func() bool {
		if first.Exited() {
			t.Fatalf("the first host ended:\n%s", first.Output())
		}
		b, err := os.ReadFile(filepath.Join(dir, "hosts", "first.json"))
		return err == nil && json.Unmarshal(b, &note) == nil
	})
	s.again = []string{"run", "--modules", strings.Join(modules, ","), "--host", "second", "--broker", note.Broker, "--data-dir", dir}
	s.second = s.run(t, env, s.again...)
	addr := harness.FreeAddr(t)
	s.run(t, nil, "gateway", "--listen", addr)
	s.Client = harness.NewClient(addr)
	s.Key = harness.NewKey(t, s.bin, s.flags...)
	harness.Eventually(t, time.Minute, "the gateway routes to every module", func() bool {
		return s.Ready(t.Context(), "/v1/products", "/v1/stock", "/v1/orders", "/v1/payments")
	})
	harness.Eventually(t, time.Minute, "the gateway knows what a buyer needs", func() bool {
		var api struct{ Paths map[string]any }
		status, err := s.Do(t.Context(), http.MethodGet, "/openapi.json", nil, &api)
		return err == nil && status == http.StatusOK && api.Paths["/v1/carts"] != nil
	})
	s.must(t, "shop", "import", "--sample")
	return s
}

// run starts a command on the shop's registry.
func (s *shop) run(t *testing.T, env []string, args ...string) *harness.Process {
	t.Helper()
	return harness.Start(t, env, s.bin, slices.Concat(args, s.flags)...)
}

// must runs a command to its end, and returns what it said.
func (s *shop) must(t *testing.T, args ...string) string {
	t.Helper()
	p := s.run(t, nil, args...)
	if code := p.Wait(time.Minute); code != 0 {
		t.Fatalf("cleave %q: exit code %d:\n%s", args, code, p.Output())
	}
	return p.Output()
}

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"

// order buys something in a trace of its own.
func (s *shop) order(t *testing.T) {
	t.Helper()
	var o struct{ State string }
	if status, err := s.Send(s.purchase(t), &o); err != nil || status != http.StatusOK || o.State != "ORDER_STATE_PAID" {
		t.Fatalf("order: status %d, %+v, %v", status, o, err)
	}
}

// purchase is a request for an order, in the trace.
func (s *shop) purchase(t *testing.T) *http.Request {
	t.Helper()
	_, sku, _, _ := s.InStock(t)
	body, err := json.Marshal(map[string]any{
		"cartId": s.NewCart(t, sku, 2), "email": "ada@example.com", "paymentToken": "tok_visa", "shippingAddress": harness.Address(),
		"requestId": harness.UUID(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.Base+"/v1/orders", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	return req
}

// One trace has all that was done for an order: by the gateway, the modules that were called, their databases, and those that heard of it
// later.
func TestAnOrderIsOneTrace(t *testing.T) {
	s := start(t, []string{"inventory", "payment", "notification"})
	s.order(t)
	wants := map[string]string{ // service and name; how many processes that is doesn't matter
		"gateway POST /v1/orders": "server", "order Order.CreateOrder": "server", "gateway Order.CreateOrder": "client",
		"order saga reserve": "internal", "order saga authorize": "internal", "order saga settle": "internal",
		"inventory Inventory.Reserve": "server", "payment Payment.Authorize": "server", "payment Payment.Capture": "server",
		"order COMMIT": "client", "order append shop.order.v1.OrderConfirmed": "producer", "order publish shop.order.v1.OrderConfirmed": "producer",
		"notification handle shop.order.v1.OrderConfirmed": "consumer", "fulfilment handle shop.order.v1.OrderPaid": "consumer",
	}
	var spans []telemetry.SpanJSON
	at := []string{s.admin(t, "gateway"), s.admin(t, "order"), s.admin(t, "payment")}
	lacks := []string{"everything"}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%d spans; missing: %q", len(spans), lacks)
		}
	})
	harness.Eventually(t, 30*time.Second, "everything that an order causes is in its trace", func() bool {
		spans = nil
		for _, process := range at {
			var some []telemetry.SpanJSON
			if err := json.Unmarshal([]byte(ask(t, http.MethodGet, process+"/traces/"+trace, "")), &some); err != nil {
				t.Fatal(err)
			}
			spans = append(spans, some...)
		}
		lacks = missing(spans, wants)
		return len(lacks) == 0
	})
	spans = nil
	if err := json.Unmarshal([]byte(s.must(t, "trace", trace, "-o", "json")), &spans); err != nil {
		t.Fatal(err)
	}
	known, hosts := map[string]telemetry.SpanJSON{}, map[string]bool{}
	for _, sp := range spans {
		known[sp.ID] = sp
		hosts[sp.Host] = true
	}
	lost := 0
	for _, sp := range spans {
		if sp.Trace != trace {
			t.Errorf("a span of another trace: %+v", sp)
		}
		if _, ok := known[sp.Parent]; !ok && sp.Parent != "00f067aa0ba902b7" {
			lost++
			t.Logf("a span without its parent: %+v", sp)
		}
		if sp.Failed {
			t.Errorf("failed: %+v", sp)
		}
	}
	if len(hosts) != 3 {
		t.Errorf("spans of the processes %v, want three", hosts)
	}
	harness.Figure(t, "trace_spans_without_parent", float64(lost), 0, "spans")
	harness.Figure(t, "trace_spans_of_an_order", float64(len(spans)), 1000, "spans")
	if drawn := s.must(t, "trace", trace); !strings.Contains(drawn, "notification  handle") || !strings.Contains(drawn, "█") {
		t.Errorf("the waterfall is\n%s", drawn)
	}
	t.Run("log", func(t *testing.T) { s.levels(t) })
	t.Run("metrics", func(t *testing.T) { s.exemplars(t) })
	t.Run("call", func(t *testing.T) {
		if said := s.must(t, "call", "--trace", "catalog", "Catalog.ListProducts", `{"page_size":1}`); !strings.Contains(said, "SELECT product") {
			t.Errorf("cleave call --trace says\n%s", said)
		}
	})
}

func missing(spans []telemetry.SpanJSON, wants map[string]string) (out []string) {
	for what, kind := range wants {
		if !slices.ContainsFunc(spans, func(s telemetry.SpanJSON) bool { return s.Service+" "+s.Name == what && s.Kind == kind }) {
			out = append(out, kind+" "+what)
		}
	}
	slices.Sort(out)
	return out
}

// admin is where the process of a module has its own listener.
func (s *shop) admin(t *testing.T, module string) string {
	t.Helper()
	var all []struct{ ServiceMeta map[string]string }
	if err := s.consul.Get("/v1/catalog/service/"+module, &all); err != nil || len(all) != 1 || all[0].ServiceMeta["admin"] == "" {
		t.Fatalf("Consul's entry of %s: %+v, %v", module, all, err)
	}
	return "http://" + all[0].ServiceMeta["admin"]
}

func ask(t *testing.T, method, url, body string, header ...string) string {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if len(header) == 2 {
		req.Header.Set(header[0], header[1])
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	b, err := io.ReadAll(rsp.Body)
	if err != nil || rsp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %s, %v", method, url, rsp.Status, b, err)
	}
	return string(b)
}

// levels makes one module talkative while it runs: its lines have the trace, and the others of its process stay quiet.
func (s *shop) levels(t *testing.T) {
	at := s.admin(t, "payment")
	debug := func(module string) int {
		return strings.Count(ask(t, http.MethodGet, at+"/logs?limit=2000&module="+module, ""), `"level":"DEBUG"`)
	}
	refused := func() {
		if status, _ := s.Do(t.Context(), http.MethodGet, "/v1/payments/"+harness.UUID(t), nil, nil); status != http.StatusNotFound {
			t.Fatalf("status %d", status)
		}
		if status, _ := s.Do(t.Context(), http.MethodGet, "/v1/stock/no-such-sku", nil, nil); status != http.StatusNotFound {
			t.Fatalf("status %d", status)
		}
	}
	refused()
	if n := debug("payment"); n != 0 {
		t.Fatalf("%d lines of payment at the level info are debug", n)
	}
	ask(t, http.MethodPut, at+"/log-level", `{"module":"payment","level":"debug"}`)
	refused()
	if debug("payment") == 0 || debug("inventory") != 0 {
		t.Errorf("payment has %d lines of debug and wants some, inventory has %d and wants none", debug("payment"), debug("inventory"))
	}
	said := s.must(t, "logs", "payment", "-o", "json")
	if !strings.Contains(said, `"trace_id"`) || !strings.Contains(said, `"span_id"`) || strings.Contains(said, `"module":"inventory"`) {
		t.Errorf("cleave logs payment says\n%s", said)
	}
}

// exemplars are in what Prometheus gets, and lead to the trace.
func (s *shop) exemplars(t *testing.T) {
	text := ask(t, http.MethodGet, s.admin(t, "payment")+"/metrics", "", "Accept", "application/openmetrics-text; version=1.0.0")
	want := `rpc_server_call_seconds_bucket{code="OK",endpoint="Payment.Authorize",service="payment"`
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, want) && strings.Contains(line, `trace_id="`+trace+`"`) {
			return
		}
	}
	t.Errorf("no bucket of Payment.Authorize has the order's trace as its exemplar:\n%s", text)
}
