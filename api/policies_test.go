package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/kv"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// board tells of documents whenever a test says so.
type board chan map[string][]byte

var _ kv.Watcher = board(nil)

func (b board) Watch(ctx context.Context, fn func(map[string][]byte)) error {
	for {
		select {
		case all := <-b:
			fn(all)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestOperatorsOverride: what an operator writes is in force without a restart, a mistake changes nothing, and the gateway says who decided what.
func TestOperatorsOverride(t *testing.T) {
	reg, written := registry.NewMemoryRegistry(), make(board, 10)
	catalogue(t, reg, &shelf{})
	tokens := newMint(t)
	written <- map[string][]byte{}
	e := start(t, reg, tokens.configure, func(c *api.Config) { c.Overrides = written })
	const variant, method = "/v1/variants/a", "shop.catalog.v1.Catalog/GetVariant"
	e.eventually("routed", func() bool { return e.get(variant).status == http.StatusOK })

	written <- map[string][]byte{method: []byte(`{"expose": false}`)}
	e.eventually("hidden", func() bool { return e.get(variant).status == http.StatusNotFound })
	if a := e.json("POST", "/"+method, `{"sku":"a"}`); a.status != http.StatusNotFound {
		t.Errorf("hidden, it is called by its name: %d", a.status)
	}
	written <- map[string][]byte{method: []byte(`{"scopes": ["gateway.read"]}`)}
	e.eventually("guarded", func() bool { return e.get(variant).status == http.StatusUnauthorized })
	written <- map[string][]byte{method: []byte(`{"public": true, "nonsense": 1}`)}
	e.eventually("told of the mistake", func() bool {
		for _, f := range gathered(t, e, "gateway_documents_refused_total") {
			if f == 1 {
				return true
			}
		}
		return false
	})
	if s := e.get(variant).status; s != http.StatusUnauthorized {
		t.Errorf("after a mistake: %d", s)
	}

	var all []api.Policy
	e.page("GET /policy", &all)
	methods := slices.DeleteFunc(slices.Clone(all), func(p api.Policy) bool { return !strings.Contains(p.Method, "/") }) // not the topics
	if len(methods) != catalogv1.File_shop_catalog_v1_catalog_proto.Services().Get(0).Methods().Len() || len(methods) == len(all) {
		t.Fatalf("policies of %d methods, %d in all", len(methods), len(all))
	}
	for _, p := range all {
		if p.Method == method && (p.Access.From != "operator: "+method || p.Expose.From != "contract: method" || p.Timeout.From != "default") {
			t.Errorf("%+v", p)
		}
	}
}

func gathered(t *testing.T, e *edge, name string) (out []float64) {
	t.Helper()
	families, err := e.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				out = append(out, m.GetCounter().GetValue())
			}
		}
	}
	return out
}
