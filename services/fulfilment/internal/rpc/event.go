package rpc

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
)

// Emit appends the message of an event to the outbox. The key is the order's id: its events arrive in the order in which they happened.
func Emit(ctx context.Context, tx *sql.Tx, e shipping.Event) error {
	at := timestamppb.New(e.At)
	var m proto.Message
	switch e.Kind {
	case shipping.HasShipped, shipping.HasArrived:
		parcel := &fulfilmentv1.Shipment{}
		fillShipment(parcel, e.Shipment)
		if e.Kind == shipping.HasShipped {
			m = &fulfilmentv1.ShipmentShipped{OccurredAt: at, OrderId: e.OrderID, Shipment: parcel, Complete: e.Complete}
		} else {
			m = &fulfilmentv1.ShipmentDelivered{OccurredAt: at, OrderId: e.OrderID, Shipment: parcel, Complete: e.Complete}
		}
	case shipping.HasReturned:
		back := &fulfilmentv1.GoodsReturn{}
		fillReturn(back, e.Return)
		m = &fulfilmentv1.ReturnReceived{OccurredAt: at, OrderId: e.OrderID, GoodsReturn: back, Complete: e.Complete}
	default:
		return fmt.Errorf("there is no event of kind %d", e.Kind)
	}
	return outbox.Append(ctx, tx, e.OrderID, m)
}

// Within makes a transaction that somebody else began one of the module's own.
type Within func(tx *sql.Tx) shipping.Tx

// OrderPaid returns what the module does when an order was paid: its lines are to be shipped. A message without an order or lines will
// never be right, so it isn't tried again.
func OrderPaid(svc *shipping.Service, within Within) func(context.Context, *sql.Tx, *orderv1.OrderPaid) error {
	return func(ctx context.Context, tx *sql.Tx, m *orderv1.OrderPaid) error {
		o := m.GetOrder()
		if o.GetId() == "" || len(o.GetLines()) == 0 {
			return events.Permanent(fmt.Errorf("event %s has no order with lines", m.GetEventId()))
		}
		lines := make([]shipping.Line, len(o.GetLines()))
		for i, l := range o.GetLines() {
			if l.GetSku() == "" || l.GetQuantity() <= 0 {
				return events.Permanent(fmt.Errorf("event %s has a line of %d pieces of %q", m.GetEventId(), l.GetQuantity(), l.GetSku()))
			}
			lines[i] = shipping.Line{SKU: l.GetSku(), Title: l.GetTitle(), Ordered: l.GetQuantity()}
		}
		a := o.GetShippingAddress()
		to := shipping.Address{
			Name: a.GetName(), Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(), PostalCode: a.GetPostalCode(), Country: a.GetCountry(),
		}
		return svc.Accept(ctx, within(tx), id(o.GetId()), to, lines)
	}
}

// OrderCancelled returns what the module does when an order was cancelled: nothing of it leaves any more. Where something has left, it says
// so, in the log and in the list.
func OrderCancelled(svc *shipping.Service, within Within, log *slog.Logger) func(context.Context, *sql.Tx, *orderv1.OrderCancelled) error {
	return func(ctx context.Context, tx *sql.Tx, m *orderv1.OrderCancelled) error {
		orderID := id(m.GetOrder().GetId())
		if orderID == "" {
			return events.Permanent(fmt.Errorf("event %s has no order", m.GetEventId()))
		}
		left, err := svc.Cancel(ctx, within(tx), orderID)
		if err == nil && left {
			log.ErrorContext(ctx, "an order was cancelled when a parcel of it had left", "order_id", orderID, "event_id", m.GetEventId())
		}
		return err
	}
}
