package order

import (
	"context"
	"errors"
	"fmt"

	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/lease"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/heard"
	"github.com/cleavehq/cleave/services/order/internal/peers"
	"github.com/cleavehq/cleave/services/order/internal/rpc"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/store"
)

// Module returns the order module. It calls the modules "cart", "pricing", "inventory" and "payment", publishes the events of
// shop.order.v1, and listens to those of fulfilment and to shop.customer.v1.CustomerErased. One of its instances at a time has the lease
// "order.saga", and works off the orders that were left lying.
func Module() host.Module {
	return host.Module{
		Name:       Name,
		Calls:      []string{"cart", "inventory", "payment", "pricing"},
		Contract:   orderv1.File_shop_order_v1_order_proto,
		Migrations: store.Migrations(),
		Invariants: Invariants(),
		Start:      start,

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

func start(ctx context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
	kept := store.New(d.DB, rpc.Tell)
	prices := peers.NewPrices(pricingv1.NewPricingService("pricing", d.Client))
	driver, err := saga.New(saga.Config{
		Store:    kept,
		Stock:    peers.NewStock(inventoryv1.NewInventoryService("inventory", d.Client)),
		Coupons:  prices,
		Payments: peers.NewPayments(paymentv1.NewPaymentService("payment", d.Client)),
		Fault:    d.Fault,
		Log:      d.Log,
		Now:      d.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("build the saga: %w", err)
	}
	svc, err := checkout.New(checkout.Config{
		Store:  kept,
		Carts:  peers.NewCarts(cartv1.NewCartService("cart", d.Client)),
		Prices: prices,
		Driver: driver,
		Fault:  d.Fault,
		Log:    d.Log,
		Now:    d.Now,

		Stopping: d.Stopping,
	})
	if err != nil {
		return nil, fmt.Errorf("build the order service: %w", err)
	}
	if err := orderv1.RegisterOrderHandler(s, rpc.New(svc)); err != nil {
		return nil, fmt.Errorf("register the order handler: %w", err)
	}
	deaf, err := (&heard.Ears{Store: kept, Now: d.Now}).Listen(d.Broker, d.DB, Name)
	if err != nil {
		return nil, fmt.Errorf("listen to other modules: %w", err)
	}
	rest := work(ctx, d, driver, kept)
	return func(ctx context.Context) error { return errors.Join(rest(ctx), deaf()) }, nil
}

// work runs the worker under its lease, until the function that it returns is called: that waits for the steps that run.
func work(ctx context.Context, d host.Deps, driver *saga.Driver, kept *store.Store) func(context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- lease.Run(ctx, lease.Config{DB: d.DB, Name: "order.saga", Owner: d.Owner, Log: d.Log, Now: d.Now},
			func(ctx context.Context, l *lease.Lease) error { return driver.With(kept.Guarded(l.Guard)).Work(ctx) })
	}()
	return func(ctx context.Context) error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for the saga's worker: %w", ctx.Err())
		}
	}
}
