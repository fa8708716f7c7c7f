package cart

import (
	"context"
	"errors"
	"fmt"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/outbox"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
	"github.com/cleavehq/cleave/services/cart/internal/prices"
	"github.com/cleavehq/cleave/services/cart/internal/rpc"
	"github.com/cleavehq/cleave/services/cart/internal/store"
)

// Module returns the cart module. It calls the module "pricing", and consumes shop.order.v1.OrderConfirmed and
// shop.customer.v1.CustomerErased.
func Module() host.Module {
	return host.Module{
		Name:       Name,
		Calls:      []string{"pricing"},
		Contract:   cartv1.File_shop_cart_v1_cart_proto,
		Migrations: store.Migrations(),
		Start:      start,

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

func start(_ context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
	ask := prices.New(pricingv1.NewPricingService("pricing", d.Client))
	svc, err := basket.New(basket.Config{Store: store.New(d.DB), Prices: ask, Now: d.Now, May: rpc.May})
	if err != nil {
		return nil, fmt.Errorf("build the cart service: %w", err)
	}
	if err := cartv1.RegisterCartHandler(s, rpc.New(svc, ask)); err != nil {
		return nil, fmt.Errorf("register the cart handler: %w", err)
	}
	if err := guard(d, s, ask); err != nil {
		return nil, err
	}
	confirmed, err := outbox.Subscribe(d.Broker, d.DB, Name, rpc.OrderConfirmed(svc, d.Log))
	if err != nil {
		return nil, fmt.Errorf("subscribe to confirmed orders: %w", err)
	}
	erased, err := outbox.Subscribe(d.Broker, d.DB, Name, rpc.CustomerErased(svc))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to erased customers: %w", err), confirmed.Unsubscribe())
	}
	return func(context.Context) error {
		var errs []error
		for _, sub := range []broker.Subscriber{erased, confirmed} {
			if err := sub.Unsubscribe(); err != nil {
				errs = append(errs, fmt.Errorf("unsubscribe from %s: %w", sub.Topic(), err))
			}
		}
		return errors.Join(errs...)
	}, nil
}

// guard lets a command that is sent twice be done once. The prices that it needs are asked for before.
func guard(d host.Deps, s server.Server, ask *prices.Pricing) error {
	if err := s.Init(server.WrapHandler(ask.Ahead)); err != nil {
		return fmt.Errorf("ask for prices ahead: %w", err)
	}
	err := idempotency.Guard(s, idempotency.Config{
		DB: d.DB, Contract: cartv1.File_shop_cart_v1_cart_proto, Methods: guarded(), Now: d.Now,
	})
	if err != nil {
		return fmt.Errorf("guard the commands: %w", err)
	}
	return nil
}

// guarded are the commands that are done once for a key: all that may not be sent again without one.
func guarded() []string { return []string{"Cart.CreateCart", "Cart.AddItem"} }
