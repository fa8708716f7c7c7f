package idempotency_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// catalog is the shelf as a module: a generated handler on a server.
type catalog struct {
	catalogv1.CatalogHandler // the rest is not called
	s                        *shelf
}

func (c catalog) CreateCategory(ctx context.Context, in *catalogv1.CreateCategoryRequest, out *catalogv1.Category) error {
	return c.s.create(ctx, request{body: in}, out)
}

// A module takes it in one line, and a caller that knows of it gives a key with the call.
func TestGuardedServer(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		reg, log := registry.NewMemoryRegistry(), slog.New(slog.DiscardHandler)
		srv, err := rpc.NewServer(rpc.ServerConfig{
			Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: log, DrainWait: time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		err = idempotency.Guard(srv, idempotency.Config{DB: s.db, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Methods: []string{method}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if err := catalogv1.RegisterCatalogHandler(srv, catalog{s: s}); err != nil {
			t.Fatal(err)
		}
		if err := srv.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = srv.Shutdown(context.WithoutCancel(t.Context())) }()
		c, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()

		create := func(key, slug string) (*catalogv1.Category, error) {
			in := &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: slug, Title: "Tea"}}
			return catalogv1.NewCatalogService("catalog", c).CreateCategory(idempotency.WithKey(t.Context(), key), in)
		}
		for range 2 {
			if out, err := create("k", "tea"); err != nil || out.GetProductCount() != 1 || out.GetSlug() != "tea" {
				t.Errorf("%v, %v", out, err)
			}
		}
		_, err = create("k", "coffee")
		is(t, err, codes.FailedPrecondition, idempotency.ReasonReused)
		for _, bad := range []string{"a b", strings.Repeat("k", 256)} {
			_, err = create(bad, "tea")
			is(t, err, codes.InvalidArgument, idempotency.ReasonBadKey)
		}
		if s.ran.Load() != 1 {
			t.Errorf("ran %d times", s.ran.Load())
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	s := shelf{}
	contract := catalogv1.File_shop_catalog_v1_catalog_proto
	for want, c := range map[string]idempotency.Config{
		"are needed":           {Contract: contract, Now: time.Now},
		"can't be negative":    {DB: s.db, Contract: contract, Now: time.Now, Keep: -1},
		"Catalog.GetProduct":   {Contract: contract, Now: time.Now, Methods: []string{"Catalog.GetProduct"}},
		"Catalog.Export":       {Contract: contract, Now: time.Now, Methods: []string{"Catalog.ExportProducts"}},
		"Catalog.NoSuchMethod": {Contract: contract, Now: time.Now, Methods: []string{"Catalog.NoSuchMethod"}},
	} {
		if want != "are needed" {
			c.DB = memory(t)
		}
		if err := idempotency.Guard(server.NewServer(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestUnsafeMethods(t *testing.T) {
	got := idempotency.Unsafe(catalogv1.File_shop_catalog_v1_catalog_proto)
	if !slices.Contains(got, method) || slices.Contains(got, "Catalog.GetProduct") || slices.Contains(got, "Catalog.ExportProducts") {
		t.Errorf("unsafe: %q", got)
	}
}

func TestValid(t *testing.T) {
	for key, ok := range map[string]bool{
		"a": true, "!~": true, `"quoted"`: true, strings.Repeat("k", 255): true,
		"": false, " ": false, "a b": false, "a\n": false, "\x7f": false, "é": false, strings.Repeat("k", 256): false,
	} {
		if idempotency.Valid(key) != ok {
			t.Errorf("%q is valid: %v", key, !ok)
		}
	}
}
