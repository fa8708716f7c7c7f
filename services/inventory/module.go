package inventory

import (
	"context"
	"fmt"
	"sync"

	"buf.build/go/protovalidate"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/turn"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory/internal/rpc"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
	"github.com/cleavehq/cleave/services/inventory/internal/store"
)

// Name of the module in the registry, and the group in which it consumes events.
const Name = "inventory"

// Module returns the inventory, ready to be run by a host. It calls no other module, and consumes shop.fulfilment.v1.ReturnReceived.
func Module() host.Module {
	return host.Module{
		Name:       Name,
		Contract:   inventoryv1.File_shop_inventory_v1_inventory_proto,
		Migrations: store.Migrations(),
		Invariants: Invariants(),
		Start:      start,

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

func start(ctx context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
	db, err := store.New(d.DB, rpc.Events{})
	if err != nil {
		return nil, err
	}
	service, err := stock.New(stock.Config{Store: db, Now: d.Now})
	if err != nil {
		return nil, err
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make a validator: %w", err)
	}
	handler, err := rpc.New(service, validator)
	if err != nil {
		return nil, err
	}
	if err := inventoryv1.RegisterInventoryHandler(s, handler); err != nil {
		return nil, fmt.Errorf("register the handler: %w", err)
	}
	if err := s.Init(server.WrapHandler(handler.InTurn(turn.New()))); err != nil {
		return nil, fmt.Errorf("let commands wait for their turn: %w", err)
	}
	if err := idempotency.Guard(s, idempotency.Config{
		DB: d.DB, Contract: inventoryv1.File_shop_inventory_v1_inventory_proto, Methods: []string{"Inventory.AdjustStock"}, Now: d.Now,
	}); err != nil {
		return nil, fmt.Errorf("guard the commands: %w", err)
	}
	returns, err := outbox.Subscribe(d.Broker, d.DB, Name, rpc.ReturnReceived(service))
	if err != nil {
		return nil, fmt.Errorf("subscribe to returns: %w", err)
	}
	work, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() {
		// Its own clock is the real one: it only measures how long another owner has been silent.
		c := lease.Config{DB: d.DB, Name: expireLease, Owner: d.Owner, Log: d.Log}
		if err := lease.Run(work, c, expirer(db, d.Now)); err != nil {
			d.Log.ErrorContext(work, "nothing expires reservations", "error", err)
		}
	})
	return func(context.Context) error {
		cancel()
		working.Wait()
		if err := returns.Unsubscribe(); err != nil {
			return fmt.Errorf("unsubscribe from returns: %w", err)
		}
		return nil
	}, nil
}
