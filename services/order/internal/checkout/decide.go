package checkout

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Cancel calls an order off, and lets go, pays back and takes back what it has. The decision is made when it returns nil; an order that isn't
// Cancelled then is on its way there, and the worker goes on. ORDER_NOT_FOUND; ORDER_SHIPPED when a part of it left. An order that is given
// up or cancelled already stays as it is.
func (s *Service) Cancel(ctx context.Context, id string) (sale.Order, error) {
	return s.decide(ctx, id, func(o *sale.Order) error {
		if o.GivenUp() {
			return nil
		}
		return o.GiveUp(sale.Refusal{
			Code: codes.FailedPrecondition, Reason: sale.ReasonCustomerRequest, Message: "the order was called off",
		}, s.now())
	})
}

// RefundRequest is money to be sent back.
type RefundRequest struct {
	OrderID string
	// Amount is all that is left when zero.
	Amount sale.Money
	Reason string
	// RequestID is the caller's key for this refund, or empty: then sending it again is another refund.
	RequestID string
}

// Refund sends money back. The decision is made when it returns nil; a refund that isn't Done then is asked for, and the worker goes on.
// ORDER_NOT_FOUND, ORDER_NOT_PAID, REFUND_TOO_LARGE, CURRENCY_MISMATCH, IDEMPOTENCY_KEY_REUSED.
func (s *Service) Refund(ctx context.Context, r RefundRequest) (sale.Order, error) {
	key := r.RequestID
	if key == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return sale.Order{}, fmt.Errorf("make a refund id: %w", err)
		}
		key = id.String()
	}
	return s.decide(ctx, r.OrderID, func(o *sale.Order) error {
		return o.AskRefund(o.RefundID("request/"+key), r.Amount, r.Reason, s.now())
	})
}
