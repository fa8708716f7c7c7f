package rpc

import (
	"context"
	"database/sql"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/outbox"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/payment/internal/pay"
)

// Announce writes shop.payment.v1.PaymentUpdated into the transaction of a change. It is a store.Announce.
func Announce(ctx context.Context, tx *sql.Tx, p pay.Payment) error {
	m := &paymentv1.PaymentUpdated{OccurredAt: timestamppb.New(p.UpdateTime), Payment: &paymentv1.PaymentRecord{}}
	if err := put(m.Payment, p, nil); err != nil {
		return err
	}
	return outbox.Append(ctx, tx, p.ID, m)
}

func put(out *paymentv1.PaymentRecord, p pay.Payment, err error) error {
	if err != nil {
		return err
	}
	out.Id, out.OrderId, out.State = p.ID, p.OrderID, state(p.State)
	out.Amount = money(p.Amount.Currency, p.Amount.Minor)
	out.Captured, out.Refunded = money(p.Amount.Currency, p.Captured), money(p.Amount.Currency, p.Refunded)
	out.ProviderRef, out.DeclineCode = p.ProviderRef, p.DeclineCode
	out.CreateTime, out.UpdateTime = timestamppb.New(p.CreateTime), timestamppb.New(p.UpdateTime)
	for _, r := range p.Refunds {
		out.Refunds = append(out.Refunds, &paymentv1.Refund{
			Id: r.ID, Amount: money(p.Amount.Currency, r.Minor), State: refundState(r.State), Reason: r.Reason,
			CreateTime: timestamppb.New(r.CreateTime), UpdateTime: timestamppb.New(r.UpdateTime),
		})
	}
	return nil
}

func money(currency string, minor int64) *typev1.Money {
	return &typev1.Money{Currency: currency, Minor: minor}
}

func state(s pay.State) paymentv1.PaymentState {
	switch s {
	case pay.Pending:
		return paymentv1.PaymentState_PAYMENT_STATE_PENDING
	case pay.Authorized:
		return paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED
	case pay.Captured:
		return paymentv1.PaymentState_PAYMENT_STATE_CAPTURED
	case pay.Voided:
		return paymentv1.PaymentState_PAYMENT_STATE_VOIDED
	case pay.Declined:
		return paymentv1.PaymentState_PAYMENT_STATE_DECLINED
	default:
		return paymentv1.PaymentState_PAYMENT_STATE_UNSPECIFIED
	}
}

func refundState(s pay.RefundState) paymentv1.RefundState {
	switch s {
	case pay.RefundPending:
		return paymentv1.RefundState_REFUND_STATE_PENDING
	case pay.RefundSucceeded:
		return paymentv1.RefundState_REFUND_STATE_SUCCEEDED
	case pay.RefundFailed:
		return paymentv1.RefundState_REFUND_STATE_FAILED
	default:
		return paymentv1.RefundState_REFUND_STATE_UNSPECIFIED
	}
}
