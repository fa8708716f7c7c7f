package rpc

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry, cache and stock client, which tests use, never end.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry/cache.(*cache).run"),
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry/cache.(*cache).watch.func1"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const anID = "0192f5a0-0000-7000-8000-000000000001"

// shop is a catalogue whose methods tests replace.
type shop struct {
	get    func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error
	create func(context.Context, *catalogv1.CreateProductRequest, *catalogv1.Product) error
	export func(context.Context, *catalogv1.ExportProductsRequest, catalogv1.Catalog_ExportProductsStream) error
	calls  atomic.Int64
}

func (s *shop) GetProduct(ctx context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
	s.calls.Add(1)
	if s.get != nil {
		return s.get(ctx, in, out)
	}
	out.Id, out.Title, out.Status = in.GetId(), "A thing", catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE
	return nil
}

func (s *shop) CreateProduct(ctx context.Context, in *catalogv1.CreateProductRequest, out *catalogv1.Product) error {
	s.calls.Add(1)
	if s.create != nil {
		return s.create(ctx, in, out)
	}
	proto.Merge(out, in.GetProduct())
	return nil
}

func (s *shop) ExportProducts(ctx context.Context, in *catalogv1.ExportProductsRequest, st catalogv1.Catalog_ExportProductsStream) error {
	if s.export != nil {
		return s.export(ctx, in, st)
	}
	for _, id := range []string{"a", "b", "c"} {
		if err := st.Send(&catalogv1.Product{Id: id}); err != nil {
			return err
		}
	}
	return nil
}

func (s *shop) ListProducts(context.Context, *catalogv1.ListProductsRequest, *catalogv1.ListProductsResponse) error {
	return nil
}

func (s *shop) SearchProducts(context.Context, *catalogv1.SearchProductsRequest, *catalogv1.SearchProductsResponse) error {
	panic("search is broken")
}

func (s *shop) UpdateProduct(context.Context, *catalogv1.UpdateProductRequest, *catalogv1.Product) error {
	return errors.New("the disk is on fire, password=hunter2")
}

func (s *shop) BatchImportProducts(context.Context, *catalogv1.BatchImportProductsRequest, *catalogv1.BatchImportProductsResponse) error {
	return nil
}

func (s *shop) GetVariant(context.Context, *catalogv1.GetVariantRequest, *catalogv1.GetVariantResponse) error {
	return problem.NotFound("VARIANT_NOT_FOUND", "no such variant")
}

func (s *shop) GetCategory(context.Context, *catalogv1.GetCategoryRequest, *catalogv1.Category) error {
	return nil
}

func (s *shop) ListCategories(context.Context, *catalogv1.ListCategoriesRequest, *catalogv1.ListCategoriesResponse) error {
	return nil
}

func (s *shop) CreateCategory(context.Context, *catalogv1.CreateCategoryRequest, *catalogv1.Category) error {
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serve starts a catalogue called id in reg; it is stopped when the test ends.
func serve(t *testing.T, reg registry.Registry, id string, h *shop, opts ...server.Option) *Server {
	t.Helper()
	return startServer(t, ServerConfig{
		Name: "catalog", ID: id, Version: "1.2.3", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(),
		DrainWait: time.Millisecond, Metadata: map[string]string{"host": "h1"},
	}, h, opts...)
}

func startServer(t testing.TB, c ServerConfig, h *shop, opts ...server.Option) *Server {
	t.Helper()
	s, err := NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Init(opts...); err != nil {
		t.Fatal(err)
	}
	if err := catalogv1.RegisterCatalogHandler(s, h); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t *testing.T, reg registry.Registry) *Client {
	t.Helper()
	return newClient(t, ClientConfig{Registry: reg, Log: quiet()})
}

func newClient(t testing.TB, conf ClientConfig) *Client {
	t.Helper()
	c, err := NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// wantProblem fails unless err is a problem with that code and reason.
func wantProblem(t *testing.T, err error, code codes.Code, reason string) []problem.Field {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a problem %v %s", err, code, reason)
	}
	if p.Code != code || p.Reason != reason {
		t.Fatalf("got %v %s (%v), want %v %s", p.Code, p.Reason, err, code, reason)
	}
	return p.Fields
}

// eventually fails when ok doesn't hold within five seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}
