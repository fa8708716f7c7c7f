package customer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer/internal/account"
	"github.com/cleavehq/cleave/services/customer/internal/password"
	"github.com/cleavehq/cleave/services/customer/internal/rpc"
	"github.com/cleavehq/cleave/services/customer/internal/store"
	"github.com/cleavehq/cleave/services/customer/internal/token"
)

// Config of the module. The zero value is ready.
type Config struct {
	// Issuer and Audience of the access tokens.
	Issuer, Audience string
	// Secret seals the private signing keys in the database: 32 characters at least, the same for every instance. When it is empty, who
	// reads the database can sign tokens. It may be given later; it can't be taken away as long as a key is sealed with it.
	Secret string
	// Hash is argon2id's parameters, OWASP's when zero. When they grow, each hash is made anew at its owner's next login.
	Hash HashParams
	// HashSlots is how many passwords are hashed at once, 4 when 0: the memory is HashSlots x Hash.Memory.
	HashSlots int
	// TendEvery is how often keys are tended and what has expired is deleted, a minute when 0.
	TendEvery time.Duration
}

// Module returns the customers' module. It calls no other module, hears no event, and publishes CustomerRegistered, RegistrationRepeated,
// PasswordResetRequested and CustomerErased.
func Module(c Config) host.Module {
	return host.Module{
		Name:       Name,
		Contract:   customerv1.File_shop_customer_v1_customer_proto,
		Migrations: store.Migrations(),
		Invariants: Invariants(),
		Start: func(ctx context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
			return start(ctx, c, d, s)
		},

		SharesMemory: true, // its tests run under rpc.Watched
	}
}

// tokens lends an Issuer to the business, which knows no such thing.
type tokens struct{ *token.Issuer }

// Signer implements account.Tokens.
func (t tokens) Signer(ctx context.Context) (account.Sign, error) {
	sign, err := t.Issuer.Signer(ctx)
	return account.Sign(sign), err
}

func start(ctx context.Context, c Config, d host.Deps, s server.Server) (func(context.Context) error, error) {
	issuer, audience := cmp.Or(c.Issuer, Issuer), cmp.Or(c.Audience, Audience)
	db, err := store.New(d.DB, rpc.Publish)
	if err != nil {
		return nil, err
	}
	hasher, err := password.New(cmp.Or(c.Hash, password.Recommended()), cmp.Or(c.HashSlots, 4))
	if err != nil {
		return nil, err
	}
	keys, err := token.New(token.Config{Store: db, Issuer: issuer, Audience: audience, Secret: c.Secret, Now: d.Now, NewID: newID})
	if err != nil {
		return nil, err
	}
	if _, err := keys.Signer(ctx); err != nil { // so that a wrong secret is seen now
		return nil, err
	}
	// Its own keys cost a row or two to read: no reason to know them later than others do.
	verifier, err := authn.New(authn.Config{
		Issuer: issuer, Audience: audience, Keys: rpc.Source(keys), MaxAge: time.Minute, Interval: time.Second, Now: d.Now,
	})
	if err != nil {
		return nil, err
	}
	accounts, err := account.New(account.Config{Store: db, Passwords: hasher, Tokens: tokens{keys}, Log: d.Log, Now: d.Now, NewID: newID})
	if err != nil {
		return nil, err
	}
	handler, err := rpc.New(accounts, keys, verifier)
	if err != nil {
		return nil, err
	}
	if err := guard(d, s, verifier); err != nil {
		return nil, err
	}
	if err := customerv1.RegisterCustomerHandler(s, handler); err != nil {
		return nil, fmt.Errorf("register the customers' handler: %w", err)
	}
	return tend(ctx, cmp.Or(c.TendEvery, time.Minute), d.Log, keys.Tend, accounts.Sweep), nil
}

// guard lets a command that is sent twice be done once. Most of the module's commands are not for it: they carry a secret, or they give one
// away, and an answer that is kept would be a secret in the database. What a repeat of those does is harmless, or is refused.
func guard(d host.Deps, s server.Server, v *authn.Verifier) error {
	err := idempotency.Guard(s, idempotency.Config{
		DB: d.DB, Contract: customerv1.File_shop_customer_v1_customer_proto, Methods: store.Guarded(), Now: d.Now,
		Subject: func(ctx context.Context) string {
			who, _ := v.Caller(ctx) // the handler says what is wrong with the token
			return who.Subject
		},
	})
	if err != nil {
		return fmt.Errorf("guard the commands: %w", err)
	}
	return nil
}

// tend does the chores every so often, until the function that it returns is called.
func tend(ctx context.Context, every time.Duration, log *slog.Logger, chores ...func(context.Context) error) func(context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for _, chore := range chores {
				if err := chore(ctx); err != nil && ctx.Err() == nil {
					log.WarnContext(ctx, "a chore failed; it is tried again", "error", err)
				}
			}
		}
	})
	return func(context.Context) error {
		cancel()
		running.Wait()
		return nil
	}
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}
