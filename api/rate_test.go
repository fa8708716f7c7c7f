package api_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/kv"
)

func TestRatesAreForAllGatewaysTogether(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	catalogue(t, reg, &shelf{})
	// Another gateway, so that this one has the half.
	if err := reg.Register(&registry.Service{Name: api.Name, Version: "1", Nodes: []*registry.Node{{Id: "other", Address: "192.0.2.1:1"}}}); err != nil {
		t.Fatal(err)
	}
	tokens := newMint(t)
	e := start(t, reg, tokens.configure, func(c *api.Config) {
		c.Now = sync.OnceValue(time.Now) // it stands still
		c.Overrides = kv.Static{"shop.catalog.v1.Catalog/GetVariant": []byte(`{"rate": {"requests": 6, "per": "1h"}}`)}
	})
	const limited = "/v1/variants/a"
	// The gateway is in the registry a moment after it serves; what was counted until then is another caller's.
	e.eventually("one of two", func() bool {
		return e.get(limited, "X-Api-Key", tokens.key).header.Get("Ratelimit-Policy") == `"method";q=3;w=3600`
	})
	for i, want := range []string{`"method";r=2;t=1200`, `"method";r=1;t=2400`, `"method";r=0;t=3600`} {
		if a := e.get(limited); a.status != http.StatusOK || a.header.Get("Ratelimit") != want {
			t.Errorf("request %d: %d %v", i, a.status, a.header)
		}
	}
	a := e.get(limited)
	if a.status != http.StatusTooManyRequests || a.problem(t).Reason != "RATE_LIMITED" || a.header.Get("Retry-After") != "1200" {
		t.Errorf("one too many: %d %v %s", a.status, a.header, a.body)
	}
	if a := e.json("POST", "/shop.catalog.v1.Catalog/GetVariant", `{"sku":"a"}`); a.status != http.StatusTooManyRequests {
		t.Errorf("the same over another protocol: %d", a.status)
	}
	if a := e.get("/v1/products"); a.status != http.StatusOK || a.header.Get("Ratelimit") != "" {
		t.Errorf("another method: %d %v", a.status, a.header)
	}
	if a := e.get(limited, "Authorization", tokens.good()); a.status != http.StatusOK {
		t.Errorf("another caller: %d %s", a.status, a.body)
	}
}
