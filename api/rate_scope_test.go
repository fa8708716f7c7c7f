package api_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/kv"
)

func TestRatesOfCallersTenantsAndRoutes(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	catalogue(t, reg, &shelf{})
	tokens := newMint(t)
	of := func(tenant string) func(*apikey.Key) { return func(k *apikey.Key) { k.Tenant = tenant } }
	ann, bob := tokens.apikey("ann", time.Time{}, of("acme")), tokens.apikey("bob", time.Time{}, of("acme"))
	cid := tokens.apikey("cid", time.Time{}, of("other"))
	e := start(t, reg, tokens.configure, func(c *api.Config) {
		c.Now = sync.OnceValue(time.Now) // it stands still
		c.Overrides = kv.Static{"shop.catalog.v1.Catalog/GetVariant": []byte(`{"rate": [{"requests": 2, "per": "1h"},
			{"requests": 3, "per": "1h", "scope": "tenant"}, {"requests": 6, "per": "1h", "scope": "route"}]}`)}
	})
	const path = "/v1/variants/a"
	for i, step := range []struct {
		key    string
		status int
		state  string
	}{
		{ann, 200, `"method";r=1;t=1800, "tenant";r=2;t=1200, "route";r=5;t=600`},
		{ann, 200, `"method";r=0;t=3600, "tenant";r=1;t=2400, "route";r=4;t=1200`},
		{ann, 429, `"method";r=0;t=3600, "tenant";r=0;t=3600, "route";r=3;t=1800`}, // and it counts nowhere
		{bob, 200, `"method";r=1;t=1800, "tenant";r=0;t=3600, "route";r=3;t=1800`},
		{bob, 429, `"method";r=0;t=3600, "tenant";r=0;t=3600, "route";r=2;t=2400`}, // the tenant's are used up, bob's aren't
		{cid, 200, `"method";r=1;t=1800, "tenant";r=2;t=1200, "route";r=2;t=2400`},
		{"", 200, `"method";r=1;t=1800, "tenant";r=2;t=1200, "route";r=1;t=3000`},
		{tokens.key, 200, `"method";r=1;t=1800, "tenant";r=2;t=1200, "route";r=0;t=3600`}, // a key without a tenant is alone
		{cid, 429, `"method";r=0;t=3600, "tenant";r=1;t=2400, "route";r=0;t=3600`},
	} {
		var a answer
		if step.key == "" {
			a = e.get(path)
		} else {
			a = e.get(path, "X-Api-Key", step.key)
		}
		if a.status != step.status || a.header.Get("Ratelimit") != step.state {
			t.Errorf("step %d: %d %s, want %d %s", i, a.status, a.header.Get("Ratelimit"), step.status, step.state)
		}
		if want := `"method";q=2;w=3600, "tenant";q=3;w=3600, "route";q=6;w=3600`; a.header.Get("Ratelimit-Policy") != want {
			t.Errorf("step %d: %s", i, a.header.Get("Ratelimit-Policy"))
		}
		if step.status == http.StatusTooManyRequests && (a.problem(t).Reason != "RATE_LIMITED" || a.header.Get("Retry-After") == "") {
			t.Errorf("step %d: %v %s", i, a.header, a.body)
		}
	}
}
