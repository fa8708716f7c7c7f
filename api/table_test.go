package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api/internal/openapi"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/api/internal/prototest"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/schema"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func bare(t *testing.T) *Gateway {
	t.Helper()
	reg, log := registry.NewMemoryRegistry(), slog.New(slog.DiscardHandler)
	c, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	g, err := New(Config{Registry: reg, Client: c, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func value(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%v %v", families, err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func TestAPanicIsAProblem(t *testing.T) {
	g := bare(t)
	w := httptest.NewRecorder()
	g.handle(func(*exchange) { panic("secret") }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 500 || w.Header().Get("Content-Type") != problem.MediaType || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if n := value(t, g.metrics.panics); n != 1 {
		t.Errorf("%v panics counted", n)
	}
	if n := len(g.inFlight); n != 0 {
		t.Errorf("%d requests are still in flight", n)
	}
}

// TestAPanicInAnAnswerCutsIt: half an answer must not look whole.
func TestAPanicInAnAnswerCutsIt(t *testing.T) {
	g := bare(t)
	s := httptest.NewServer(g.handle(func(x *exchange) {
		_, _ = io.WriteString(x.w, strings.Repeat("half ", 1000))
		panic("in the middle")
	}))
	defer s.Close()
	rsp, err := s.Client().Get(s.URL)
	if err == nil {
		_, err = io.ReadAll(rsp.Body)
		_ = rsp.Body.Close()
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("the answer ended with %v", err)
	}
}

func TestNotReadyBeforeTheRegistryAnswered(t *testing.T) {
	g := bare(t)
	g.hold = newHold(time.Millisecond)
	for path, want := range map[string]int{"/readyz": 503, "/openapi.json": 503, "/v1/products": 503, "/healthz": 200, "/": 200, "/metrics": 503} {
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestTwoGatewaysNeedTwoRegistriesOfMetrics(t *testing.T) {
	g := bare(t)
	if _, err := New(Config{Registry: g.c.Registry, Client: g.c.Client, Log: g.c.Log, Metrics: g.c.Metrics}); err == nil {
		t.Error("two gateways count in one registry of metrics")
	}
}

// FuzzRequest: whatever is asked, the answer is no bug of ours.
func FuzzRequest(f *testing.F) {
	for _, s := range [][4]string{
		{http.MethodGet, "/v1/products/x", "page_size=1", ""}, {"POST", "/v1/carts", "", `{"items":[{}]}`}, {"PATCH", "/v1/products/x", "update_mask=a", `{"title":"x"}`},
		{http.MethodGet, "/v1/products:export", "", ""}, {"PUT", "/%2f", "a=b;c", "\xff"}, {"OPTIONS", "/v1/products", "", ""}, {"HEAD", "/openapi.json", "", ""},
		{"DELETE", "/v1/carts/a/items/b", "cart_id=x", ""},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	reg, log := registry.NewMemoryRegistry(), slog.New(slog.DiscardHandler)
	c, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: log})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	g, err := New(Config{Registry: reg, Client: c, Log: log})
	if err != nil {
		f.Fatal(err)
	}
	t, err := newTable([]*offer{offerOf("catalog", "a", "1", catalogv1.File_shop_catalog_v1_catalog_proto), offerOf("cart", "b", "1", cartv1.File_shop_cart_v1_cart_proto)}, nil, openapi.Info{Version: "1"}, policy.Overrides{})
	if err != nil {
		f.Fatal(err)
	}
	g.table.Store(t)
	h := g.Handler()
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || method == "" {
			return
		}
		u.RawQuery = query
		r := &http.Request{
			Method: method, URL: u, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
			ContentLength: int64(len(body)),
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(t.Context()))
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable { // no service is there to answer what is well asked
			t.Errorf("%s %s?%s %q: %d %s", method, path, query, body, w.Code, w.Body)
		}
		if w.Code >= 400 && method != http.MethodHead && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %d, not JSON: %s", method, path, w.Code, w.Body)
		}
	})
}

// offerOf is an offer whose contract is known.
func offerOf(service, hash, started string, fd protoreflect.FileDescriptor) *offer {
	c := &schema.Contract{}
	for i := range fd.Services().Len() {
		c.Services = append(c.Services, fd.Services().Get(i))
	}
	return &offer{service: service, hash: hash, newest: started, oldest: started, contract: c}
}

func contract(t *testing.T, methods ...string) protoreflect.FileDescriptor {
	t.Helper()
	return prototest.New(t).Message("M", "string id").Service("S", methods...).Build()
}

func routes(t *testing.T, before *table, list ...*offer) (*table, map[string]string) {
	t.Helper()
	tab, err := newTable(list, before, openapi.Info{Version: "1"}, policy.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range tab.endpoints {
		out[e.method+" "+e.template.String()] = e.service + " " + e.name
	}
	return tab, out
}

func TestWhoOwnsARoute(t *testing.T) {
	fd := contract(t, `Get M M [google.api.http]{get:"/v1/x/{id}"}`)
	zebra, ant := offerOf("zebra", "z", "2026-01-01T00:00:00Z", fd), offerOf("ant", "a", "2026-01-02T00:00:00Z", fd)
	first, _ := routes(t, nil, zebra)
	for what, before := range map[string]*table{"had before": first, "running for longer": nil} {
		tab, got := routes(t, before, ant, zebra)
		if got["GET /v1/x/{id}"] != "zebra S.Get" || len(tab.leftOut) != 1 {
			t.Errorf("%s: %v, left out %v", what, got, tab.leftOut)
		}
	}
	zebra.oldest, zebra.newest = "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z" // restarted
	if _, got := routes(t, first, ant, zebra); got["GET /v1/x/{id}"] != "zebra S.Get" {
		t.Errorf("a restart gave the route to %v", got)
	}
	if _, got := routes(t, first, ant); got["GET /v1/x/{id}"] != "ant S.Get" {
		t.Errorf("the owner left, and the route is %v", got)
	}
}

func TestConflictsAreCountedOnce(t *testing.T) {
	g := bare(t)
	fd := contract(t, `Get M M [google.api.http]{get:"/v1/x/{id}"}`)
	var before *table
	for range 3 {
		tab, _ := routes(t, before, offerOf("ant", "a", "1", fd), offerOf("zebra", "z", "2", fd))
		g.swap(t.Context(), before, tab)
		before = tab
	}
	if n := value(t, g.metrics.conflicts); n != 1 {
		t.Errorf("%v conflicts", n)
	}
}

func TestTheNewestContractDescribes(t *testing.T) {
	older := offerOf("s", "old", "2026-01-01T00:00:00Z", contract(t, `A M M [google.api.http]{get:"/v1/a"}`, `B M M [google.api.http]{get:"/v1/b"}`))
	newer := offerOf("s", "new", "2026-01-02T00:00:00Z", contract(t, `A M M [google.api.http]{get:"/v1/a"}`, `C M M [google.api.http]{get:"/v1/c"}`))
	tab, got := routes(t, nil, newer, older)
	if len(got) != 3 || len(tab.leftOut) != 0 {
		t.Errorf("routes %v, left out %v", got, tab.leftOut)
	}
	for _, e := range tab.endpoints {
		want := map[string]string{"S.A": "map[]", "S.B": "map[old:true]", "S.C": "map[new:true]"}[e.name]
		if fmt.Sprint(e.only) != want {
			t.Errorf("%s goes to %v, want %s", e.name, e.only, want)
		}
		if e.name == "S.A" && e.desc != newer.contract.Services[0].Methods().ByName("A") {
			t.Error("A is described by the older contract")
		}
	}
}

func TestRulesThatAreWrongAreLeftOut(t *testing.T) {
	tab, got := routes(t, nil, offerOf("s", "h", "1", contract(
		t, `A M M [google.api.http]{get:"/v1/{nosuch}"}`, `B M M [google.api.http]{get:"no slash"}`, `C M M [google.api.http]{get:"/healthz"}`,
		`D M M [google.api.http]{}`, `E M M`, `F M M [google.api.http]{get:"/v1/good"}`, `G stream:M M [google.api.http]{post:"/v1/in" body:"*"}`,
		`H M M [google.api.http]{post:"/v1/h" body:"nosuch"}`, `I M M [google.api.http]{custom{kind:"PURGE" path:"/v1/i"}}`,
	)))
	if fmt.Sprint(got) != "map[GET /v1/good:s S.F GET /v1/in:s S.G PURGE /v1/i:s S.I]" || len(tab.leftOut) != 5 {
		t.Errorf("routes %v, left out %v", got, tab.leftOut)
	}
}
