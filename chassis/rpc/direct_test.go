package rpc

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// here starts a catalogue that is called directly, and elsewhere one that isn't.
func hereAndElsewhere(t *testing.T, here, elsewhere *shop) (*Client, *Server) {
	t.Helper()
	l, reg := &Local{}, registry.NewMemoryRegistry()
	serve(t, reg, "elsewhere", elsewhere)
	s := startServer(t, ServerConfig{
		Name: "catalog", ID: "here", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), Local: l,
		DrainWait: 200 * time.Millisecond,
	}, here)
	return newClient(t, ClientConfig{Registry: reg, Log: quiet(), Local: l}), s
}

func TestTheLocalOneIsCalled(t *testing.T) {
	here, elsewhere := &shop{}, &shop{}
	c, s := hereAndElsewhere(t, here, elsewhere)
	for range 20 {
		if err := get(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if here.calls.Load() != 20 {
		t.Errorf("of 20 calls %d were here", here.calls.Load())
	}
	if err := get(t.Context(), c, client.WithAddress(s.Address())); err != nil || len(c.peers) != 1 {
		t.Errorf("a call to an address: %v, %d connections", err, len(c.peers))
	}
	// A filter that leaves the local one out is obeyed.
	other := selector.WithFilter(func(all []*registry.Service) []*registry.Service {
		var out []*registry.Service
		for _, s := range all {
			some := *s
			some.Nodes = slices.DeleteFunc(slices.Clone(s.Nodes), func(n *registry.Node) bool { return n.Id == "catalog-here" })
			out = append(out, &some)
		}
		return out
	})
	if err := get(t.Context(), c, client.WithSelectOption(other)); err != nil || elsewhere.calls.Load() != 1 {
		t.Errorf("with a filter: %v, %d calls elsewhere", err, elsewhere.calls.Load())
	}
}

func TestCallsGoElsewhereWhileTheLocalOneDrains(t *testing.T) {
	here, elsewhere := &shop{}, &shop{}
	c, s := hereAndElsewhere(t, here, elsewhere)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	eventually(t, "a call goes elsewhere", func() bool {
		if err := get(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return elsewhere.calls.Load() > 0
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	before := here.calls.Load()
	if err := get(t.Context(), c); err != nil || here.calls.Load() != before {
		t.Errorf("after it stopped: %v", err)
	}
}

func TestAnUnavailableLocalOneIsPassedOver(t *testing.T) {
	no := func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
		return problem.Unavailable("OVERLOADED", "not now")
	}
	here, elsewhere := &shop{get: no}, &shop{}
	c, _ := hereAndElsewhere(t, here, elsewhere)
	if err := get(t.Context(), c); err != nil {
		t.Error(err)
	}
	elsewhere.get = no
	wantProblem(t, get(t.Context(), c), codes.Unavailable, "OVERLOADED")
}

func TestWatchFindsUnfitHandlers(t *testing.T) {
	var kept *catalogv1.Variant
	cached := &catalogv1.Product{Tags: []string{"green", "tea"}}
	for name, c := range map[string]struct {
		create func(context.Context, *catalogv1.CreateProductRequest, *catalogv1.Product) error
		want   []string
	}{
		"fit": {nil, []string{}},
		"changes": {func(_ context.Context, in *catalogv1.CreateProductRequest, _ *catalogv1.Product) error {
			in.Product.Title = "mine"
			return nil
		}, []string{"Catalog.CreateProduct changes its request"}},
		"keeps a request": {func(_ context.Context, in *catalogv1.CreateProductRequest, _ *catalogv1.Product) error {
			kept = in.GetProduct().GetVariants()[0]
			return nil
		}, []string{"Catalog.CreateProduct keeps a part of its request"}},
		"keeps a response": {func(_ context.Context, _ *catalogv1.CreateProductRequest, out *catalogv1.Product) error {
			kept = &catalogv1.Variant{}
			out.Variants = append(out.Variants, kept)
			return nil
		}, []string{"Catalog.CreateProduct keeps a part of its response"}},
		"answers with a list that it keeps": {func(_ context.Context, _ *catalogv1.CreateProductRequest, out *catalogv1.Product) error {
			out.Tags = cached.GetTags()
			return nil
		}, []string{"Catalog.CreateProduct keeps a part of its response"}},
	} {
		t.Run(name, func(t *testing.T) {
			failed := &failures{}
			w, reg := Watched(failed), registry.NewMemoryRegistry()
			l := &Local{Watch: w}
			startServer(t, ServerConfig{
				Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), Local: l, SharesMemory: true,
				DrainWait: 1,
			}, &shop{create: c.create})
			if err := create(t.Context(), newClient(t, ClientConfig{Registry: reg, Log: quiet(), Local: l})); err != nil {
				t.Fatal(err)
			}
			if got := w.Findings(); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			failed.end()
			if len(failed.lines) != len(c.want) {
				t.Errorf("the test would have failed with %q, want %q", failed.lines, c.want)
			}
			runtime.KeepAlive(kept)
			runtime.KeepAlive(cached)
		})
	}
}

// failures stands for a test.
type failures struct {
	end   func()
	lines []string
}

func (f *failures) Cleanup(fn func())            { f.end = fn }
func (f *failures) Errorf(text string, _ ...any) { f.lines = append(f.lines, text) }

// With its own and the caller's message, copies of both, a trace, metrics and a deadline.
func TestADirectCallAllocatesLittle(t *testing.T) {
	limit := 8.0
	if raceDetector {
		limit = 32 // it empties every pool at random
	}
	l, reg := &Local{}, registry.NewMemoryRegistry()
	startServer(t, ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), Local: l, DrainWait: 1,
	}, &shop{})
	s := catalogv1.NewCatalogService("catalog", newClient(t, ClientConfig{Registry: reg, Log: quiet(), Local: l, Metrics: prometheus.NewRegistry()}))
	ctx := telemetry.Ensure(t.Context())
	in := &catalogv1.GetCategoryRequest{Slug: "tea"}
	n := testing.AllocsPerRun(200, func() {
		if _, err := s.GetCategory(ctx, in); err != nil {
			t.Fatal(err)
		}
	})
	if n > limit {
		t.Errorf("%.0f allocations, want at most %.0f", n, limit)
	}
}

// A call within a call needs no more than its own request, its own response, and the span of the call that it is in.
func TestADirectCallInADirectCallAllocatesLittle(t *testing.T) {
	l, reg := &Local{}, registry.NewMemoryRegistry()
	tracer, err := telemetry.New(telemetry.Config{Host: "test"})
	if err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	c := newClient(t, ClientConfig{Registry: reg, Log: quiet(), Local: l, Metrics: metrics})
	inner := catalogv1.NewCatalogService("inner", c)
	for name, h := range map[string]*shop{"inner": {}, "outer": {
		get: func(ctx context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
			p, err := inner.GetProduct(ctx, in)
			out.Id = p.GetId()
			return err
		},
	}} {
		startServer(t, ServerConfig{
			Name: name, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), Local: l, DrainWait: 1,
			SharesMemory: true, Tracer: tracer.For(name), Metrics: metrics,
		}, h)
	}
	outer, ctx := catalogv1.NewCatalogService("outer", c), telemetry.Ensure(t.Context())
	in := &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}}
	calls := func(s catalogv1.CatalogService) float64 {
		return testing.AllocsPerRun(200, func() {
			if _, err := s.GetProduct(ctx, in); err != nil {
				t.Fatal(err)
			}
		})
	}
	one, both := calls(inner), calls(outer)
	if one == 0 || one > 4 || both > 2*one+1 {
		t.Errorf("one call has %.0f allocations, one within it makes them %.0f: want at most 4, and %.0f", one, both, 2*one+1)
	}
}
