package pay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// Authorize asks the provider to hold the amount for an order. An order has one payment, whose id is the provider's idempotency
// key, and which is written down before the provider is asked: so however often and from however many sides Authorize is called,
// there is one hold.
//
// Sent again it answers as the first time, with PAYMENT_DECLINED too: another card needs another order. A payment whose outcome is
// not known is asked for again. PAYMENT_DIFFERS when the order's payment has another amount, PAYMENT_VOIDED when it was voided.
// PAYMENT_OUTCOME_UNKNOWN when the provider does not answer: the money may be held, and the payment stays pending.
//
// When ctx ends while the provider is being asked, the outcome is unknown in the same way.
func (s *Service) Authorize(ctx context.Context, orderID string, amount provider.Money, token provider.Token) (Payment, error) {
	if err := checkAmount(amount); err != nil {
		return Payment{}, err
	}
	id, err := s.newID()
	if err != nil {
		return Payment{}, fmt.Errorf("make a payment id: %w", err)
	}
	at := s.time()
	p, err := s.store.Open(ctx, Payment{ID: id, OrderID: orderID, State: Pending, Amount: amount, CreateTime: at, UpdateTime: at})
	if err != nil {
		return Payment{}, fmt.Errorf("open payment: %w", err)
	}
	if p.Amount != amount {
		return Payment{}, problem.AlreadyExists(ReasonDiffers, "order %s has a payment of %d %s", orderID, p.Amount.Minor, p.Amount.Currency)
	}
	if p.State != Pending || p.Voiding {
		return authorizeAnswer(p)
	}
	var hold provider.Authorization
	err = s.ask(ctx, "authorize", func(ctx context.Context) (err error) {
		hold, err = s.provider.Authorize(ctx, provider.Request{IdempotencyKey: p.ID, Order: orderID, Amount: amount, Token: token})
		return err
	})
	return s.authorized(ctx, p, hold, err)
}

// authorized writes down what the provider answered, and answers the caller.
func (s *Service) authorized(ctx context.Context, p Payment, hold provider.Authorization, err error) (Payment, error) {
	var no *provider.Decline
	switch {
	case errors.As(err, &no):
		now, err := s.record(ctx, Change{ID: p.ID, From: Pending, To: Declined, DeclineCode: no.Code})
		if err != nil {
			return Payment{}, err
		}
		return authorizeAnswer(now)
	case err != nil:
		return Payment{}, s.failed(ctx, "authorize", p, err)
	}
	now, err := s.record(ctx, Change{ID: p.ID, From: Pending, To: Authorized, Ref: hold.Ref})
	if err != nil {
		return Payment{}, err // it stays pending, until the provider is asked what became of it
	}
	if now.Voiding || now.State == Voided || now.State == Declined {
		s.letGo(ctx, now, hold.Ref)
	}
	return authorizeAnswer(now)
}

// letGo voids a hold that came to be after its payment was voided, so that nobody's money is held for nothing. When the provider
// can't be reached, the reconciler lets it go.
func (s *Service) letGo(ctx context.Context, p Payment, ref string) {
	err := s.ask(context.WithoutCancel(ctx), "void", func(ctx context.Context) error { return s.provider.Void(ctx, ref, voidKey(p.ID)) })
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "a hold outlives its payment", slog.String("payment_id", p.ID),
			slog.String("provider_ref", ref), slog.Any("error", err))
	}
}

func authorizeAnswer(p Payment) (Payment, error) {
	switch {
	case p.State == Authorized, p.State == Captured:
		return p, nil
	case p.State == Declined:
		return Payment{}, declined(p)
	case p.State == Voided, p.Voiding:
		return Payment{}, voided(p)
	default:
		return Payment{}, fmt.Errorf("payment %s is %s after the provider has answered", p.ID, p.State)
	}
}
