package rpc

import (
	"context"
	"database/sql"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/outbox"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Tell is store.Tell: it appends the event of an entry to the outbox, with the order's id as its key.
func Tell(ctx context.Context, tx *sql.Tx, o sale.Order, e sale.Entry) error {
	m, err := event(o, e)
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, o.ID, m)
}

// event makes the message that tells of an entry. The outbox gives it its id.
func event(o sale.Order, e sale.Entry) (proto.Message, error) {
	placed := &orderv1.PlacedOrder{}
	if err := fill(placed, o); err != nil {
		return nil, err
	}
	if e.Tell == sale.OrderCancelled {
		placed.CancelReason = o.Why.Reason // also when the money isn't back yet
	}
	at := timestamppb.New(e.At)
	switch e.Tell {
	case sale.OrderConfirmed:
		return &orderv1.OrderConfirmed{OccurredAt: at, Order: placed}, nil
	case sale.OrderCancelled:
		return &orderv1.OrderCancelled{OccurredAt: at, Order: placed}, nil
	case sale.OrderPaid:
		return &orderv1.OrderPaid{OccurredAt: at, Order: placed}, nil
	case sale.OrderShipped:
		return &orderv1.OrderShipped{OccurredAt: at, Order: placed}, nil
	case sale.OrderDelivered:
		return &orderv1.OrderDelivered{OccurredAt: at, Order: placed}, nil
	case sale.OrderRefunded:
		return &orderv1.OrderRefunded{OccurredAt: at, Order: placed, Refund: refund(e.Refund)}, nil
	case sale.OrderReturned:
		return &orderv1.OrderReturned{OccurredAt: at, Order: placed}, nil
	default:
		return nil, fmt.Errorf("no message is called %q", e.Tell)
	}
}
