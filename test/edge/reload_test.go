package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/topology"
	"github.com/cleavehq/cleave/test/harness"
)

// changes is how many changes a round of operator.round makes.
const changes = 8

// operator changes what a gateway goes by, and waits until it does.
type operator struct {
	t              *testing.T
	s              *harness.System
	policies, keys kv.Store
	rules          topology.Store
	product, sku   string
	reloads        int
}

func newOperator(t *testing.T, s *harness.System) *operator {
	t.Helper()
	conf := api.DefaultConfig()
	conf.Address = s.Consul.Addr
	c, err := api.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	product, sku, _, _ := s.InStock(t)
	return &operator{
		t: t, s: s, product: product.ID, sku: sku, policies: kv.NewConsul(c, "cleave/gateway/policy"), keys: kv.NewConsul(c, "cleave/gateway/keys"),
		rules: topology.NewConsul(c, topology.DefaultPrefix, time.Now, nil),
	}
}

// change makes a change, and waits until the gateway goes by it.
func (o *operator) change(what string, do func(context.Context) error, seen func() bool) {
	o.t.Helper()
	if err := do(o.t.Context()); err != nil {
		o.t.Fatalf("%s: %v", what, err)
	}
	harness.Eventually(o.t, 30*time.Second, what, seen)
	o.reloads++
}

// answers says whether a path is answered with a status, to somebody with that key.
func (o *operator) answers(path, key string, status int) func() bool {
	c := *o.s.Client
	c.Key = key
	return func() bool {
		got, err := c.Do(o.t.Context(), http.MethodGet, path, nil, nil)
		return err == nil && got == status
	}
}

// TestReloadsCostNothing changes policies, keys, rules of the topology and contracts, one after another, while requests come at a steady rate:
// none of them may fail.
func TestReloadsCostNothing(t *testing.T) {
	rounds := 1
	if full() {
		rounds = 13
	}
	s := harness.Split(t, binary.Build(t), harness.StartConsul(t))
	o := newOperator(t, s)
	rest := harness.StartLoad(t, 100, func(ctx context.Context) error {
		return ok(s.Do(ctx, http.MethodGet, "/v1/products/"+o.product, nil, nil))
	})
	named := harness.StartLoad(t, 50, func(ctx context.Context) error {
		return ok(s.Guest().Do(ctx, http.MethodPost, "/shop.catalog.v1.Catalog/GetProduct", map[string]any{"id": o.product}, nil))
	})
	held := harness.StartLoad(t, 20, func(ctx context.Context) error {
		return ok(s.Do(ctx, http.MethodGet, "/v1/orders?page_size=1", nil, nil))
	})
	for n := range rounds {
		o.round(n)
	}
	sent, failed := int64(0), int64(0)
	for _, l := range []*harness.Load{rest, named, held} {
		l.Stop()
		t.Log(l.Report())
		sent, failed = sent+l.Sent.Load(), failed+l.Failed.Load()
	}
	if o.reloads != rounds*changes {
		t.Errorf("%d changes, want %d", o.reloads, rounds*changes)
	}
	harness.Figure(t, "edge_reloads", float64(o.reloads), 1e9, "changes")
	harness.Figure(t, "edge_reload_requests_sent", float64(sent), 1e9, "requests")
	harness.Figure(t, "edge_reload_requests_failed", float64(failed), 0, "requests")
}

func (o *operator) round(n int) {
	const method, other = "shop.catalog.v1.Catalog/GetProduct", "shop.catalog.v1.Catalog/GetVariant"
	variant := "/v1/variants/" + o.sku
	o.change("a policy is overridden", func(ctx context.Context) error {
		return errors.Join(o.policies.Put(ctx, method, fmt.Appendf(nil, `{"timeout":"%dms"}`, 9000+n)), o.policies.Put(ctx, other, []byte(`{"expose":false}`)))
	}, o.answers(variant, "", http.StatusNotFound))

	key, text, err := apikey.New("round", []string{"order.read"}, time.Now(), time.Time{})
	if err != nil {
		o.t.Fatal(err)
	}
	o.change("a key is made", func(ctx context.Context) error {
		b, err := json.Marshal(key)
		return errors.Join(err, o.keys.Put(ctx, key.ID, b))
	}, o.answers("/v1/orders?page_size=1", text, http.StatusOK))

	var second *catalogue
	o.change("a catalogue with another contract appears", func(context.Context) (err error) {
		second, err = startCatalogue(o.s.Consul.Addr, n)
		return err
	}, func() bool {
		return o.answers(second.path(o.product), "", http.StatusOK)() && second.isCalled(o.t.Context())
	})

	o.change("the topology sends all calls to the first", func(ctx context.Context) error {
		return o.rule(ctx, topology.Share{Host: "main", Weight: 100}, topology.Share{Host: second.host(), Weight: 0})
	}, func() bool { return !second.isCalled(o.t.Context()) })
	o.change("the topology says nothing", func(ctx context.Context) error { return o.rule(ctx) }, func() bool { return second.isCalled(o.t.Context()) })

	o.change("that catalogue leaves", func(context.Context) error { return second.stop() }, o.answers(second.path(o.product), "", http.StatusNotFound))
	o.change("a key is revoked", func(ctx context.Context) error { return o.keys.Delete(ctx, key.ID) },
		o.answers("/v1/orders?page_size=1", text, http.StatusUnauthorized))
	o.change("the overrides are taken back", func(ctx context.Context) error {
		return errors.Join(o.policies.Delete(ctx, method), o.policies.Delete(ctx, other))
	}, o.answers(variant, "", http.StatusOK))
}

// rule makes the current rule of the catalogue's calls.
func (o *operator) rule(ctx context.Context, shares ...topology.Share) error {
	now, err := o.rules.Rules(ctx)
	if err != nil {
		return err
	}
	_, err = o.rules.Put(ctx, topology.Rule{Module: "catalog", Shares: shares, Version: now["catalog"].Version, Author: "test", Reason: "reload"})
	return err
}

func ok(status int, err error) error {
	if err == nil && status != http.StatusOK {
		return fmt.Errorf("status %d", status)
	}
	return err
}
