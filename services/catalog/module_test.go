package catalog

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
)

// Every command that can't be sent again by its contract can be with a key.
func TestGuardedAreTheUnsafe(t *testing.T) {
	got, want := guarded(), idempotency.Unsafe(catalogv1.File_shop_catalog_v1_catalog_proto)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("guarded %q, unsafe %q", got, want)
	}
}

func TestACommandUnderAKeyIsDoneOnce(t *testing.T) {
	for name, conf := range map[string]data.Config{"sqlite": {Dir: t.TempDir()}, "postgres": {URL: datatest.PostgresURL(t, Name)}} {
		t.Run(name, func(t *testing.T) {
			h, err := host.New(host.Config{
				Modules: []host.Module{Module()}, Registry: registry.NewMemoryRegistry(), Broker: broker.NewMemoryBroker(), DataURL: conf.URL, DataDir: conf.Dir,
				Version: "1", Log: slog.New(slog.DiscardHandler), DrainWait: time.Millisecond, Watch: rpc.Watched(t),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = h.Shutdown(context.WithoutCancel(t.Context())) }()
			shop, ctx := catalogv1.NewCatalogService(Name, h.Client()), idempotency.WithKey(t.Context(), "a-key")
			ids := map[string]bool{}
			for range 2 {
				c, err := shop.CreateCategory(ctx, &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: "tea", Title: "Tea"}})
				if err != nil || c.GetSlug() != "tea" {
					t.Errorf("%v, %v", c, err)
				}
				p, err := shop.CreateProduct(ctx, &catalogv1.CreateProductRequest{Product: &catalogv1.Product{
					Handle: "mug", Title: "Mug", Category: "tea", Status: catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
					Variants: []*catalogv1.Variant{{Sku: "MUG", Price: &typev1.Money{Currency: "EUR", Minor: 1200}}},
				}})
				if err != nil {
					t.Fatal(err)
				}
				ids[p.GetId()] = true
			}
			if len(ids) != 1 {
				t.Errorf("the product was made %d times", len(ids))
			}
		})
	}
}
