package notification

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/lease"
	"github.com/cleavehq/cleave/chassis/outbox"
	notificationv1 "github.com/cleavehq/cleave/proto/shop/notification/v1"
	"github.com/cleavehq/cleave/services/notification/internal/letters"
	"github.com/cleavehq/cleave/services/notification/internal/render"
	"github.com/cleavehq/cleave/services/notification/internal/rpc"
	"github.com/cleavehq/cleave/services/notification/internal/smtp"
	"github.com/cleavehq/cleave/services/notification/internal/store"
)

// Config is what the operator decides. It prints without the password that is in it.
type Config struct {
	// SMTPURL is the mail server, smtp://user:password@host:port or smtps://...; empty for none, and then every mail is held. With a user,
	// smtp needs STARTTLS, or it sends nothing; without one it takes STARTTLS where it is offered; ?tls=off does without.
	SMTPURL string
	// From is the sender; default DefaultFrom. Its domain is in every Message-ID.
	From string
}

// LogValue implements slog.LogValuer.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String implements fmt.Stringer.
func (c Config) String() string {
	return fmt.Sprintf("mails from %q, server: %t", c.From, c.SMTPURL != "")
}

// GoString implements fmt.GoStringer.
func (c Config) GoString() string { return c.String() }

// Module returns the notification module. It calls no other module, and consumes events of the order and the customer module.
func Module(c Config) host.Module {
	return host.Module{
		Name:       Name,
		Contract:   notificationv1.File_shop_notification_v1_notification_proto,
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
	words, err := render.New()
	if err != nil {
		return nil, err
	}
	sender, err := mailServer(c, d)
	if err != nil {
		return nil, err
	}
	svc, err := letters.New(letters.Config{Store: db, Renderer: words, Sends: sender != nil, Now: d.Now, NewID: newID})
	if err != nil {
		return nil, err
	}
	handler, err := rpc.New(svc)
	if err != nil {
		return nil, err
	}
	if err := notificationv1.RegisterNotificationHandler(s, handler); err != nil {
		return nil, fmt.Errorf("register the handler: %w", err)
	}
	courier, err := letters.NewCourier(db, sender, d.Now, d.Log)
	if err != nil {
		return nil, err
	}
	subs, err := subscribe(d, rpc.NewConsumer(svc, store.In))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		conf := lease.Config{DB: d.DB, Name: "notification.send", Owner: d.Owner, Log: d.Log}
		if err := lease.Run(ctx, conf, courier.Work); err != nil {
			d.Log.ErrorContext(ctx, "mails are not sent", "error", err)
		}
	})
	return func(context.Context) error {
		err := unsubscribe(subs)
		cancel()
		work.Wait()
		return err
	}, nil
}

// mailServer is nil when there is none.
func mailServer(c Config, d host.Deps) (letters.Sender, error) {
	if c.SMTPURL == "" {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	if c.From == "" {
		c.From = DefaultFrom
	}
	return smtp.New(c.SMTPURL, c.From, d.Now)
}

func subscribe(d host.Deps, c *rpc.Consumer) (subs []broker.Subscriber, err error) {
	for _, begin := range []func() (broker.Subscriber, error){
		on(d, c.OrderConfirmed), on(d, c.OrderCancelled), on(d, c.OrderShipped), on(d, c.OrderRefunded),
		on(d, c.CustomerRegistered), on(d, c.RegistrationRepeated), on(d, c.PasswordResetRequested), on(d, c.CustomerErased),
	} {
		sub, err := begin()
		if err != nil {
			return nil, errors.Join(err, unsubscribe(subs))
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

func on[M proto.Message](d host.Deps, fn func(context.Context, *sql.Tx, M) error) func() (broker.Subscriber, error) {
	return func() (broker.Subscriber, error) { return outbox.Subscribe(d.Broker, d.DB, Name, fn) }
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
