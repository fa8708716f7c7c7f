package payment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/host"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	"github.com/cleavehq/cleave/services/payment/internal/pay"
	"github.com/cleavehq/cleave/services/payment/internal/rpc"
	"github.com/cleavehq/cleave/services/payment/internal/store"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

// Config of the module. The zero value is good: no money moves.
type Config struct {
	// Provider opens the provider when the module starts; the test provider, with books of its own beside the module's data, when nil. ctx
	// ends when the host stops. A provider that is a Runner is run meanwhile, one that is an io.Closer is closed when the module has stopped.
	Provider func(ctx context.Context, d host.Deps) (Provider, error)
	// ReconcileEvery is the pause between two looks for payments that are due, a second when 0.
	ReconcileEvery time.Duration
	// ProviderTimeout bounds one call of the provider, 10 s when 0.
	ProviderTimeout time.Duration
}

// Runner is a provider that has something to do between the calls. Run ends soon after ctx ends.
type Runner interface {
	Run(ctx context.Context) error
}

// Module returns the payment module. It calls no other module and hears no event.
func Module(c Config) host.Module {
	return host.Module{
		Name:       "payment",
		Contract:   paymentv1.File_shop_payment_v1_payment_proto,
		Migrations: store.Migrations(),
		Invariants: Invariants(),
		Start: func(ctx context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
			return start(ctx, c, d, s)
		},

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

// ModuleWith returns the payment module on a provider, with everything else as it is by default. The caller owns p.
func ModuleWith(p Provider) host.Module {
	return Module(Config{Provider: func(context.Context, host.Deps) (Provider, error) { return keepOpen{p}, nil }})
}

// keepOpen hides a provider's Run and Close, which are its owner's.
type keepOpen struct{ Provider }

func start(ctx context.Context, c Config, d host.Deps, s server.Server) (_ func(context.Context) error, err error) {
	if c.Provider == nil {
		c.Provider = func(ctx context.Context, d host.Deps) (Provider, error) {
			books, err := d.OpenDB(ctx, testprovider.File, testprovider.Migrations())
			if err != nil {
				return nil, err
			}
			return testprovider.Open(ctx, testprovider.Config{DB: books, Now: d.Now, Log: d.Log})
		}
	}
	p, err := c.Provider(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("open the payment provider: %w", err)
	}
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	stop := func(context.Context) error {
		cancel()
		work.Wait()
		if p, ok := p.(io.Closer); ok {
			return p.Close()
		}
		return nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop(ctx))
		}
	}()
	db, err := store.New(d.DB, rpc.Announce)
	if err != nil {
		return nil, err
	}
	config := pay.Config{Store: db, Provider: p, Log: d.Log, Now: d.Now, NewID: newID, Fault: d.Fault.Hit, Timeout: c.ProviderTimeout}
	service, err := pay.New(config)
	if err != nil {
		return nil, err
	}
	handler, err := rpc.New(service)
	if err != nil {
		return nil, err
	}
	if err := paymentv1.RegisterPaymentHandler(s, handler); err != nil {
		return nil, fmt.Errorf("register the handler: %w", err)
	}
	work.Go(func() { reconcile(ctx, d, db, config, c.ReconcileEvery) })
	if p, ok := p.(Runner); ok {
		work.Go(func() {
			if err := p.Run(ctx); err != nil && ctx.Err() == nil {
				d.Log.ErrorContext(ctx, "the payment provider's own work ended", "error", err)
			}
		})
	}
	return stop, nil
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}
