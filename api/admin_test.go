package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go-micro.dev/v4/registry"
)

// scrape is what Prometheus reads.
func (e *edge) scrape() string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(e.metrics, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return w.Body.String()
}

// counted waits until the metrics have all these lines, and says what else they have when that never is.
func (e *edge) counted(lines ...string) {
	e.t.Helper()
	var last string
	defer func() {
		if e.t.Failed() {
			e.t.Log(last)
		}
	}()
	e.eventually(strings.Join(lines, ", "), func() bool {
		last = e.scrape()
		return !slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(last, "\n"+line+"\n") })
	})
}

// page reads a page for those who run the gateway.
func (e *edge) page(pattern string, out any) {
	e.t.Helper()
	w := httptest.NewRecorder()
	e.admin[pattern].ServeHTTP(w, httptest.NewRequest(http.MethodGet, strings.TrimPrefix(pattern, "GET "), http.NoBody))
	if err := json.Unmarshal(w.Body.Bytes(), out); err != nil || w.Code != http.StatusOK {
		e.t.Fatalf("%s: %d %v %s", pattern, w.Code, err, w.Body)
	}
}

// TestAdminPages: what those who run the gateway see, its port does not show.
func TestAdminPages(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	catalogue(t, reg, &shelf{})
	e := start(t, reg)
	e.eventually("routed", func() bool { return e.get("/v1/products").status == http.StatusOK })
	var state struct {
		Ready       bool `json:"ready"`
		MaxInFlight int  `json:"max_requests_in_flight"`
		Gateways    int  `json:"gateways"`
		Streams     int  `json:"open_streams"`
		Routes      []struct{ Method, Path, Service, Endpoint string }
		Upstreams   []struct {
			Service, ID, Address, Schema string
			Known                        bool `json:"contract_known"`
		}
	}
	e.page("GET /routes", &state)
	if !state.Ready || state.MaxInFlight != 4096 || state.Streams != 0 || len(state.Upstreams) != 1 {
		t.Errorf("%+v", state)
	}
	if u := state.Upstreams[0]; u.Service != "catalog" || u.Address == "" || u.Schema == "" || !u.Known {
		t.Errorf("%+v", u)
	}
	if !slices.ContainsFunc(state.Routes, func(r struct{ Method, Path, Service, Endpoint string }) bool {
		return r.Method == http.MethodGet && r.Path == "/v1/products/{id}" && r.Service == "catalog" && r.Endpoint == "Catalog.GetProduct"
	}) {
		t.Errorf("%+v", state.Routes)
	}
	for _, hidden := range []string{"/metrics", "/admin/policy", "/policy", "/routes"} {
		if a := e.get(hidden); a.status != http.StatusNotFound {
			t.Errorf("the gateway's port answers %s with %d", hidden, a.status)
		}
	}
}
