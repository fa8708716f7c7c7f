// Package rpc is the payment module as its contract has it: proto in, proto out, and the service between.
package rpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	"github.com/cleavehq/cleave/services/payment/internal/pay"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// Handler answers the calls of shop.payment.v1.Payment. The server has validated each request before.
type Handler struct{ service *pay.Service }

var _ paymentv1.PaymentHandler = (*Handler)(nil)

// New makes a Handler.
func New(service *pay.Service) (*Handler, error) {
	if service == nil {
		return nil, errors.New("payment: a service is needed")
	}
	return &Handler{service: service}, nil
}

// GetPayment implements paymentv1.PaymentHandler.
func (h *Handler) GetPayment(ctx context.Context, in *paymentv1.GetPaymentRequest, out *paymentv1.PaymentRecord) error {
	p, err := h.service.Get(ctx, id(in.GetPaymentId()))
	return put(out, p, err)
}

// ListPayments implements paymentv1.PaymentHandler.
func (h *Handler) ListPayments(ctx context.Context, in *paymentv1.ListPaymentsRequest, out *paymentv1.ListPaymentsResponse) error {
	page, next, err := h.service.List(ctx, int(in.GetPageSize()), in.GetPageToken(), id(in.GetOrderId()))
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Payments = make([]*paymentv1.PaymentRecord, len(page))
	for i, p := range page {
		out.Payments[i] = &paymentv1.PaymentRecord{}
		if err := put(out.Payments[i], p, nil); err != nil {
			return err
		}
	}
	return nil
}

// Authorize implements paymentv1.PaymentHandler.
func (h *Handler) Authorize(ctx context.Context, in *paymentv1.AuthorizeRequest, out *paymentv1.PaymentRecord) error {
	amount := provider.Money{Currency: in.GetAmount().GetCurrency(), Minor: in.GetAmount().GetMinor()}
	p, err := h.service.Authorize(ctx, id(in.GetOrderId()), amount, provider.Token(in.GetPaymentToken()))
	return put(out, p, err)
}

// Capture implements paymentv1.PaymentHandler.
func (h *Handler) Capture(ctx context.Context, in *paymentv1.CaptureRequest, out *paymentv1.PaymentRecord) error {
	p, err := h.service.Capture(ctx, id(in.GetPaymentId()))
	return put(out, p, err)
}

// Void implements paymentv1.PaymentHandler.
func (h *Handler) Void(ctx context.Context, in *paymentv1.VoidRequest, out *paymentv1.PaymentRecord) error {
	p, err := h.service.Void(ctx, id(in.GetPaymentId()))
	return put(out, p, err)
}

// Resolve implements paymentv1.PaymentHandler.
func (h *Handler) Resolve(ctx context.Context, in *paymentv1.ResolveRequest, out *paymentv1.PaymentRecord) error {
	p, err := h.service.Resolve(ctx, id(in.GetOrderId()))
	return put(out, p, err)
}

// Refund implements paymentv1.PaymentHandler.
func (h *Handler) Refund(ctx context.Context, in *paymentv1.RefundRequest, out *paymentv1.PaymentRecord) error {
	amount := provider.Money{Currency: in.GetAmount().GetCurrency(), Minor: in.GetAmount().GetMinor()}
	p, err := h.service.Refund(ctx, id(in.GetPaymentId()), id(in.GetRefundId()), amount, in.GetReason())
	return put(out, p, err)
}

// HandleWebhook implements paymentv1.PaymentHandler.
func (h *Handler) HandleWebhook(ctx context.Context, in *paymentv1.HandleWebhookRequest, _ *paymentv1.HandleWebhookResponse) error {
	return h.service.Webhook(ctx, in.GetProvider(), in.GetHeaders(), in.GetBody().GetData())
}

// ListDiscrepancies implements paymentv1.PaymentHandler.
func (h *Handler) ListDiscrepancies(ctx context.Context, in *paymentv1.ListDiscrepanciesRequest, out *paymentv1.ListDiscrepanciesResponse) error {
	page, next, err := h.service.Discrepancies(ctx, int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	for _, d := range page {
		out.Discrepancies = append(out.Discrepancies, &paymentv1.Discrepancy{
			PaymentId: d.PaymentID, What: d.What, Ledger: money(d.Currency, d.Ledger), Provider: money(d.Currency, d.Provider),
			CreateTime: timestamppb.New(d.CreateTime),
		})
	}
	return nil
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }
