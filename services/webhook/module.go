package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/egress"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/chassis/outbox"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	webhookv1 "github.com/cleavehq/cleave/proto/shop/webhook/v1"
	"github.com/cleavehq/cleave/services/webhook/internal/hooks"
	"github.com/cleavehq/cleave/services/webhook/internal/rpc"
	"github.com/cleavehq/cleave/services/webhook/internal/store"
)

// Config is what the operator decides.
type Config struct {
	// Allow are networks that endpoints may be in although they aren't public, also without TLS; none by default.
	Allow []netip.Prefix
	// Timeout of one attempt; default 15 s.
	Timeout time.Duration
}

// Module returns the webhook module. It calls no other module, and consumes the events of the order and the payment module.
func Module() host.Module { return ModuleWith(Config{}) }

// ModuleWith returns the webhook module as the operator wants it.
func ModuleWith(c Config) host.Module {
	return host.Module{
		Name:       Name,
		Contract:   webhookv1.File_shop_webhook_v1_webhook_proto,
		Migrations: store.Migrations(),
		Invariants: Invariants(),
		Start: func(ctx context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
			return start(ctx, c, d, s)
		},

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

func start(ctx context.Context, c Config, d host.Deps, s server.Server) (func(context.Context) error, error) {
	db, err := store.New(d.DB)
	if err != nil {
		return nil, err
	}
	out := egress.New(egress.Config{Allow: c.Allow, Timeout: c.Timeout, UserAgent: "Cleave-Webhook"})
	svc, err := hooks.New(hooks.Config{Store: db, Sender: out, Now: d.Now, NewID: newID})
	if err != nil {
		return nil, err
	}
	handler, err := rpc.New(svc)
	if err != nil {
		return nil, err
	}
	if err := webhookv1.RegisterWebhookHandler(s, handler); err != nil {
		return nil, fmt.Errorf("register the handler: %w", err)
	}
	// Not those that show a secret: an answer that is kept would keep the secret beyond its endpoint's life.
	if err := idempotency.Guard(s, idempotency.Config{
		DB: d.DB, Contract: webhookv1.File_shop_webhook_v1_webhook_proto, Now: d.Now,
		Methods: []string{"Webhook.ReplayDelivery", "Webhook.ReplayEndpoint"},
	}); err != nil {
		return nil, fmt.Errorf("guard the commands: %w", err)
	}
	courier, err := hooks.NewCourier(db, out, d.Now, d.Log)
	if err != nil {
		return nil, err
	}
	subs, err := subscribe(d)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		conf := lease.Config{DB: d.DB, Name: "webhook.deliver", Owner: d.Owner, Log: d.Log}
		if err := lease.Run(ctx, conf, courier.Work); err != nil {
			d.Log.ErrorContext(ctx, "webhooks are not delivered", "error", err)
		}
	})
	return func(context.Context) error {
		err := unsubscribe(subs)
		cancel()
		work.Wait()
		out.Close()
		return err
	}, nil
}

// subscribe hears of everything that there is a type for.
func subscribe(d host.Deps) (subs []broker.Subscriber, err error) {
	tell := func(ctx context.Context, tx *sql.Tx, m hooks.Message) error {
		return store.FanOut(ctx, tx, m, d.Now(), newID)
	}
	for _, begin := range []func() (broker.Subscriber, error){
		on[*orderv1.OrderConfirmed](d, hooks.OrderConfirmed, tell), on[*orderv1.OrderPaid](d, hooks.OrderPaid, tell),
		on[*orderv1.OrderCancelled](d, hooks.OrderCancelled, tell), on[*orderv1.OrderShipped](d, hooks.OrderShipped, tell),
		on[*orderv1.OrderDelivered](d, hooks.OrderDelivered, tell), on[*orderv1.OrderRefunded](d, hooks.OrderRefunded, tell),
		on[*orderv1.OrderReturned](d, hooks.OrderReturned, tell), on[*paymentv1.PaymentUpdated](d, hooks.PaymentUpdated, tell),
	} {
		sub, err := begin()
		if err != nil {
			return nil, errors.Join(err, unsubscribe(subs))
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

func on[M rpc.Event](d host.Deps, kind string, tell rpc.FanOut) func() (broker.Subscriber, error) {
	return func() (broker.Subscriber, error) {
		sub, err := outbox.Subscribe(d.Broker, d.DB, Name, rpc.Tell[M](kind, tell))
		if err != nil {
			return nil, fmt.Errorf("subscribe to %s: %w", kind, err)
		}
		return sub, nil
	}
}

func unsubscribe(subs []broker.Subscriber) error {
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
