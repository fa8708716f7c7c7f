package pricing

import (
	"context"
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/turn"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/pricing/internal/catalog"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
	"github.com/cleavehq/cleave/services/pricing/internal/rpc"
	"github.com/cleavehq/cleave/services/pricing/internal/store"
)

// Module returns the pricing module. It calls the module "catalog", and hears and publishes no event.
func Module() host.Module {
	return host.Module{
		Name:       Name,
		Calls:      []string{"catalog"},
		Contract:   pricingv1.File_shop_pricing_v1_pricing_proto,
		Migrations: store.Migrations(),
		Invariants: Invariants(),
		Start:      start,

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

func start(ctx context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
	quotes, err := store.New(d.DB)
	if err != nil {
		return nil, err
	}
	service, err := price.New(price.Config{
		Store: quotes, Catalog: catalog.New(catalogv1.NewCatalogService("catalog", d.Client)), Now: d.Now,
	})
	if err != nil {
		return nil, err
	}
	entries, err1 := price.NewEntries(store.Entries(d.DB), d.Now)
	taxes, err2 := price.NewTaxRates(store.TaxRates(d.DB), d.Now)
	coupons, err3 := price.NewCoupons(store.Coupons(d.DB), d.Now)
	validator, err4 := protovalidate.New()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, fmt.Errorf("build pricing: %w", err)
	}
	handler, err := rpc.New(rpc.Config{Service: service, Entries: entries, TaxRates: taxes, Coupons: coupons, Validator: validator})
	if err != nil {
		return nil, err
	}
	if err := pricingv1.RegisterPricingHandler(s, handler); err != nil {
		return nil, fmt.Errorf("register the pricing handler: %w", err)
	}
	if err := s.Init(server.WrapHandler(handler.InTurn(turn.New()))); err != nil {
		return nil, fmt.Errorf("let redemptions wait for their turn: %w", err)
	}
	if err := idempotency.Guard(s, idempotency.Config{
		DB: d.DB, Contract: pricingv1.File_shop_pricing_v1_pricing_proto, Methods: guarded(), Now: d.Now,
	}); err != nil {
		return nil, fmt.Errorf("guard the commands: %w", err)
	}
	stop := forget(ctx, d)
	return func(context.Context) error {
		stop()
		return nil
	}, nil
}

// guarded are the commands that are done once for a key: all that may not be sent again without one, but CreateQuote, which asks the
// catalogue, and takes the key for its request id.
func guarded() []string {
	return []string{
		"Pricing.CreatePrice", "Pricing.DeletePrice", "Pricing.CreateTaxRate", "Pricing.DeleteTaxRate", "Pricing.CreateCoupon", "Pricing.DeleteCoupon",
	}
}
