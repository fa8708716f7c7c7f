package pay

import (
	"context"
	"errors"
	"fmt"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// ErrRefundElsewhere is a Store's: the id of a refund is that of another payment's refund.
var ErrRefundElsewhere = errors.New("the refund belongs to another payment")

// Refund gives minor units of what was captured back. The refund's id is the provider's idempotency key, and it is written down,
// and taken off what is left to be given back, before the provider is asked: so it is made once, and all refunds together are never
// more than was captured.
//
// Sent again it answers as the first time. REFUND_DIFFERS when the id was used for something else, REFUND_EXCEEDS_CAPTURED when
// less is left or nothing was captured, REFUND_REFUSED when the provider refuses. PAYMENT_OUTCOME_UNKNOWN or
// PAYMENT_PROVIDER_UNAVAILABLE when it does not answer: the refund stays pending, and the reconciler goes on asking.
func (s *Service) Refund(ctx context.Context, id, refundID string, amount provider.Money, reason string) (Payment, error) {
	if err := checkAmount(amount); err != nil {
		return Payment{}, err
	}
	p, err := s.Get(ctx, id)
	if err != nil {
		return Payment{}, err
	}
	if amount.Currency != p.Amount.Currency || amount.Minor == 0 {
		return Payment{}, problem.InvalidArgument(ReasonOutOfRange, "a refund of payment %s is more than nothing, in %s", id, p.Amount.Currency)
	}
	at := s.time()
	p, ok, err := s.store.OpenRefund(ctx, Refund{
		ID: refundID, PaymentID: id, State: RefundPending, Minor: amount.Minor, Reason: reason, CreateTime: at, UpdateTime: at,
	})
	switch {
	case errors.Is(err, ErrRefundElsewhere):
		return Payment{}, refundDiffers(refundID)
	case err != nil:
		return Payment{}, fmt.Errorf("open refund: %w", err)
	case !ok:
		return Payment{}, refundExceeds(p, amount.Minor)
	}
	r := p.refund(refundID)
	if r.Minor != amount.Minor {
		return Payment{}, refundDiffers(refundID)
	}
	return s.giveBack(ctx, p, r)
}

// giveBack asks the provider for the refund r, unless it has answered.
func (s *Service) giveBack(ctx context.Context, p Payment, r Refund) (Payment, error) {
	if r.State == RefundPending {
		err := s.ask(ctx, "refund", func(ctx context.Context) error {
			return s.provider.Refund(ctx, p.ProviderRef, r.ID, provider.Money{Currency: p.Amount.Currency, Minor: r.Minor})
		})
		to := RefundSucceeded
		var no *provider.Decline
		switch {
		case errors.As(err, &no):
			to = RefundFailed
		case err != nil:
			return Payment{}, s.failed(ctx, "refund", p, err)
		}
		if p, err = s.endRefund(ctx, r, to); err != nil {
			return Payment{}, err
		}
		r = p.refund(r.ID)
	}
	if r.State == RefundFailed {
		return Payment{}, refundRefused(r)
	}
	return p, nil
}

// endRefund writes down how r ended, also when the caller has gone away.
func (s *Service) endRefund(ctx context.Context, r Refund, to RefundState) (Payment, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	p, err := s.store.EndRefund(ctx, r.PaymentID, r.ID, to, s.time())
	if err != nil {
		return Payment{}, fmt.Errorf("record refund %s as %s: %w", r.ID, to, err)
	}
	return p, nil
}

func refundDiffers(id string) error {
	return problem.AlreadyExists(ReasonRefundDiffers, "the refund %s is one of another payment or amount", id)
}
