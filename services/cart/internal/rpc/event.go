package rpc

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/problem"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
)

// OrderConfirmed returns what the cart does when an order was made: it marks the order's cart as ordered, in the transaction that ctx carries.
// An event that comes twice changes nothing. One whose cart isn't here is logged and done with: no redelivery will bring the cart.
func OrderConfirmed(svc *basket.Service, log *slog.Logger) func(context.Context, *sql.Tx, *orderv1.OrderConfirmed) error {
	return func(ctx context.Context, _ *sql.Tx, m *orderv1.OrderConfirmed) error {
		err := svc.MarkOrdered(ctx, m.GetOrder().GetCartId())
		if err == nil {
			return nil
		}
		if problem.From(err).Code == codes.NotFound {
			log.WarnContext(ctx, "an order was confirmed for a cart that isn't here",
				"order_id", m.GetOrder().GetId(), "cart_id", m.GetOrder().GetCartId(), "event_id", m.GetEventId())
			return nil
		}
		return fmt.Errorf("mark cart %s as ordered: %w", m.GetOrder().GetCartId(), err)
	}
}

// CustomerErased returns what the cart does when a customer is to be forgotten: it takes the name off every cart, and everything out of those
// that had it. An event without a customer is a dead letter: nothing may be erased for it.
func CustomerErased(svc *basket.Service) func(context.Context, *sql.Tx, *customerv1.CustomerErased) error {
	return func(ctx context.Context, _ *sql.Tx, m *customerv1.CustomerErased) error {
		if m.GetCustomerId() == "" {
			return events.Permanent(fmt.Errorf("event %s names no customer", m.GetEventId()))
		}
		return svc.Erase(ctx, id(m.GetCustomerId()))
	}
}
