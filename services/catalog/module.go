package catalog

import (
	"context"
	"fmt"

	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	"github.com/cleavehq/cleave/services/catalog/internal/product"
	"github.com/cleavehq/cleave/services/catalog/internal/rpc"
	"github.com/cleavehq/cleave/services/catalog/internal/store"
)

// Module returns the catalogue. It calls no other module, and publishes shop.catalog.v1.ProductChanged.
func Module() host.Module {
	return host.Module{
		Name:       Name,
		Contract:   catalogv1.File_shop_catalog_v1_catalog_proto,
		Migrations: store.Migrations(),
		Start:      start,

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

// guarded are the commands that are done once for an Idempotency-Key: all that declare no idempotency_level.
func guarded() []string { return []string{"Catalog.CreateProduct", "Catalog.CreateCategory"} }

func start(_ context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
	svc, err := product.New(product.Config{Store: store.New(d.DB, rpc.Tell), Now: d.Now})
	if err != nil {
		return nil, fmt.Errorf("build the catalogue: %w", err)
	}
	h, err := rpc.New(svc)
	if err != nil {
		return nil, err
	}
	if err := catalogv1.RegisterCatalogHandler(s, h); err != nil {
		return nil, fmt.Errorf("register the catalogue's handler: %w", err)
	}
	if err := idempotency.Guard(s, idempotency.Config{
		DB: d.DB, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Methods: guarded(), Now: d.Now,
	}); err != nil {
		return nil, fmt.Errorf("guard the commands: %w", err)
	}
	return nil, nil //nolint:nilnil // nothing to stop: it has no goroutine and no subscription
}
