package fulfilment

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/outbox"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	"github.com/cleavehq/cleave/services/fulfilment/internal/rpc"
	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
	"github.com/cleavehq/cleave/services/fulfilment/internal/store"
)

// Module returns the fulfilment module. It calls no other module, and consumes shop.order.v1.OrderPaid and OrderCancelled.
func Module() host.Module {
	return host.Module{
		Name:       Name,
		Contract:   fulfilmentv1.File_shop_fulfilment_v1_fulfilment_proto,
		Migrations: store.Migrations(),
		Invariants: Invariants(),
		Start:      start,

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

// guarded are the commands that are done once for an Idempotency-Key: all that declare no idempotency_level.
func guarded() []string { return []string{"Fulfilment.CreateShipment", "Fulfilment.CreateReturn"} }

func start(_ context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
	db, err := store.New(d.DB, rpc.Emit)
	if err != nil {
		return nil, err
	}
	svc, err := shipping.New(shipping.Config{Store: db, Now: d.Now, NewID: newID})
	if err != nil {
		return nil, err
	}
	handler, err := rpc.New(svc)
	if err != nil {
		return nil, err
	}
	if err := fulfilmentv1.RegisterFulfilmentHandler(s, handler); err != nil {
		return nil, fmt.Errorf("register the handler: %w", err)
	}
	if err := idempotency.Guard(s, idempotency.Config{
		DB: d.DB, Contract: fulfilmentv1.File_shop_fulfilment_v1_fulfilment_proto, Methods: guarded(), Now: d.Now,
	}); err != nil {
		return nil, fmt.Errorf("guard the commands: %w", err)
	}
	paid, err := outbox.Subscribe(d.Broker, d.DB, Name, rpc.OrderPaid(svc, db.In))
	if err != nil {
		return nil, fmt.Errorf("subscribe to paid orders: %w", err)
	}
	cancelled, err := outbox.Subscribe(d.Broker, d.DB, Name, rpc.OrderCancelled(svc, db.In, d.Log))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to cancelled orders: %w", err), unsubscribe(paid))
	}
	return func(context.Context) error { return unsubscribe(paid, cancelled) }, nil
}

func unsubscribe(subs ...broker.Subscriber) error {
	var errs []error
	for _, s := range subs {
		if err := s.Unsubscribe(); err != nil {
			errs = append(errs, fmt.Errorf("unsubscribe from %s: %w", s.Topic(), err))
		}
	}
	return errors.Join(errs...)
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}
