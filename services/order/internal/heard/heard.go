// Package heard applies what other modules tell to orders: parcels that left, arrived or came back, and customers who are to be forgotten. Each
// event is applied once, in one transaction with what follows from it.
package heard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"go-micro.dev/v4/broker"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/problem"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	"github.com/cleavehq/cleave/services/order/internal/sale"
	"github.com/cleavehq/cleave/services/order/internal/store"
)

// Ears apply events.
type Ears struct {
	Store *store.Store
	// Now is the clock.
	Now func() time.Time
}

// Listen subscribes to all of them as consumer. The caller stops it; when it fails nothing is subscribed.
func (e *Ears) Listen(b broker.Broker, db *sql.DB, consumer string) (stop func() error, err error) {
	var subs []broker.Subscriber
	stop = func() error {
		var errs []error
		for _, s := range subs {
			errs = append(errs, s.Unsubscribe())
		}
		return errors.Join(errs...)
	}
	for _, subscribe := range []func() (broker.Subscriber, error){
		func() (broker.Subscriber, error) { return outbox.Subscribe(b, db, consumer, e.shipped) },
		func() (broker.Subscriber, error) { return outbox.Subscribe(b, db, consumer, e.delivered) },
		func() (broker.Subscriber, error) { return outbox.Subscribe(b, db, consumer, e.returned) },
		func() (broker.Subscriber, error) { return outbox.Subscribe(b, db, consumer, e.erased) },
	} {
		s, err := subscribe()
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		subs = append(subs, s)
	}
	return stop, nil
}

func (e *Ears) shipped(ctx context.Context, tx *sql.Tx, m *fulfilmentv1.ShipmentShipped) error {
	return e.change(ctx, tx, m.GetOrderId(), func(o *sale.Order) error {
		return o.Ship(pieces(m.GetShipment().GetLines()), e.now())
	})
}

func (e *Ears) delivered(ctx context.Context, tx *sql.Tx, m *fulfilmentv1.ShipmentDelivered) error {
	return e.change(ctx, tx, m.GetOrderId(), func(o *sale.Order) error {
		return o.Deliver(pieces(m.GetShipment().GetLines()), e.now())
	})
}

func (e *Ears) returned(ctx context.Context, tx *sql.Tx, m *fulfilmentv1.ReturnReceived) error {
	return e.change(ctx, tx, m.GetOrderId(), func(o *sale.Order) error {
		return o.Return(m.GetGoodsReturn().GetId(), pieces(m.GetGoodsReturn().GetLines()), e.now())
	})
}

func (e *Ears) erased(ctx context.Context, tx *sql.Tx, m *customerv1.CustomerErased) error {
	if err := e.Store.Erase(ctx, tx, m.GetCustomerId(), e.now()); err != nil {
		return fmt.Errorf("erase customer %s: %w", m.GetCustomerId(), err)
	}
	return nil
}

// change applies an event to an order. What can never be applied, because the order isn't there or never had these goods, is a dead
// letter at once, for a person to look at.
func (e *Ears) change(ctx context.Context, tx *sql.Tx, id string, apply func(*sale.Order) error) error {
	err := e.Store.Change(ctx, tx, id, apply)
	switch p := problem.From(err); {
	case p == nil:
		return nil
	case p.Code == codes.NotFound || p.Code == codes.FailedPrecondition:
		return events.Permanent(err)
	default:
		return err
	}
}

func pieces(lines []*fulfilmentv1.Line) []sale.Pieces {
	out := make([]sale.Pieces, len(lines))
	for i, l := range lines {
		out[i] = sale.Pieces{SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	return out
}

// now is the clock at the precision that the store keeps.
func (e *Ears) now() time.Time { return e.Now().UTC().Truncate(time.Microsecond) }
