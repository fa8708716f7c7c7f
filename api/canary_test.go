package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// versions are two instances of the catalogue, 1 and 2, that count what they are asked.
type versions struct {
	reg           registry.Registry
	first, second atomic.Int32
	copies        atomic.Int32  // that the second was sent
	hold          chan struct{} // the second answers a copy when it is told to; nil: at once
	fails         atomic.Bool
}

func newVersions(t *testing.T) *versions {
	v := &versions{reg: registry.NewMemoryRegistry()}
	at := func(version string, get func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error) {
		s, err := rpc.NewServer(rpc.ServerConfig{
			Name: "catalog", ID: version, Version: version, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: v.reg, Log: quiet(), DrainWait: time.Millisecond,
		})
		if err == nil {
			err = catalogv1.RegisterCatalogHandler(server.Server(s), &shelf{get: get})
		}
		if err == nil {
			err = s.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Stop() })
	}
	at("v1", func(_ context.Context, _ *catalogv1.GetProductRequest, out *catalogv1.Product) error {
		v.first.Add(1)
		out.Title = "first"
		return nil
	})
	at("v2", func(ctx context.Context, _ *catalogv1.GetProductRequest, out *catalogv1.Product) error {
		out.Title = "second"
		if !rpc.Mirrored(ctx) {
			v.second.Add(1)
			return nil
		}
		v.copies.Add(1)
		if v.hold != nil {
			select {
			case <-v.hold:
			case <-ctx.Done():
			}
		}
		if v.fails.Load() {
			return problem.Unavailable("BROKEN", "the second is broken")
		}
		return nil
	})
	return v
}

// all sends every request of those who may not choose to the first version.
type all struct{ version string }

func (a all) Route(string, func(string) string) (host, version string, ok bool) {
	return "", a.version, true
}

// pinnedTo makes a gateway whose clients go to a version.
func (v *versions) pinnedTo(t *testing.T, version string, with ...func(*api.Config)) *edge {
	t.Helper()
	c, err := rpc.NewClient(rpc.ClientConfig{Registry: v.reg, Log: quiet(), Router: all{version}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return start(t, v.reg, append(with, func(conf *api.Config) { conf.Client = c })...)
}

func TestACanaryIsForThoseWhoMay(t *testing.T) {
	v, tokens := newVersions(t), newMint(t)
	may := tokens.apikey("tester", time.Time{}, func(k *apikey.Key) { k.Scopes = []string{"gateway.canary"} })
	e := v.pinnedTo(t, "v1", tokens.configure, policies(`{"cache": {"max_age": "1h"}}`))
	for i, c := range []struct {
		header []string
		want   string
		pinned string
	}{
		{nil, "first", ""},
		{[]string{"X-Canary", "v2"}, "first", ""},
		{[]string{"X-Canary", "v2", "X-Api-Key", tokens.key}, "first", ""},
		{[]string{"X-Canary", "v2", "Authorization", tokens.good()}, "first", ""},
		{[]string{"X-Canary", "v2", "X-Api-Key", may}, "second", "v2"},
		{[]string{"X-Canary", "v1", "X-Api-Key", may}, "first", "v1"},
		{[]string{"X-Canary", "v 2", "X-Api-Key", may}, "first", ""},
		{[]string{"X-Api-Key", may}, "first", ""},                // what is kept of the second is for those who ask for it
		{[]string{"X-Canary", "v3", "X-Api-Key", may}, "", "v3"}, // there is none: it goes to any
	} {
		for _, send := range []func() answer{
			func() answer { return e.get(aMug, c.header...) },
			func() answer {
				return e.send(http.MethodPost, "/"+getOne, `{"handle":"mug"}`, append(c.header, "Content-Type", "application/json")...)
			},
		} {
			if a := send(); a.status != http.StatusOK || !strings.Contains(a.body, `"title":"`+c.want) || a.header.Get("X-Canary") != c.pinned {
				t.Errorf("%d: %d %v %s", i, a.status, a.header, a.body)
			}
		}
	}
}

func TestCopiesChangeNothing(t *testing.T) {
	v, tokens := newVersions(t), newMint(t)
	v.hold = make(chan struct{})
	mirrors, err := rpc.NewClient(rpc.ClientConfig{Registry: v.reg, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mirrors.Close() })
	e := v.pinnedTo(t, "v1", tokens.configure, func(c *api.Config) {
		c.Mirrors = mirrors
		c.Overrides = kv.Static{getOne: []byte(`{"mirror": {"version": "v2", "percent": 100}}`)}
	})
	counts := func(result, n string) func() bool {
		return func() bool {
			return strings.Contains(e.scrape(), `gateway_mirrored_total{result="`+result+`",service="catalog"} `+n+"\n")
		}
	}
	v.fails.Store(true)
	for i := range 70 { // the copies wait, and 64 do at once
		if a := e.get(aMug, "X-Api-Key", tokens.key); a.status != http.StatusOK || !strings.Contains(a.body, `"first"`) {
			t.Fatalf("%d: %d %s", i, a.status, a.body)
		}
	}
	e.eventually("64 are sent", func() bool { return v.copies.Load() == 64 })
	e.eventually("and the others are dropped", counts("dropped", "6"))
	close(v.hold)
	e.eventually("they failed", counts("failed", "64"))
	v.fails.Store(false)
	e.get(aMug)
	e.eventually("one went well", counts("ok", "1"))
	if a := e.json(http.MethodPost, "/v1/products", `{"handle":"x","title":"x"}`); a.status == http.StatusOK || v.copies.Load() != 65 || v.second.Load() != 0 || v.first.Load() != 71 {
		t.Errorf("%d; %d copies, %d and %d calls", a.status, v.copies.Load(), v.first.Load(), v.second.Load())
	}
}
