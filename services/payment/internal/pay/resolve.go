package pay

import (
	"context"
	"fmt"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// Resolve asks the provider what became of the payment of an order, and writes it down. PAYMENT_NOT_FOUND when the order has none.
// PAYMENT_PROVIDER_UNAVAILABLE or PAYMENT_OUTCOME_UNKNOWN when the provider does not answer: nothing is guessed.
//
// A payment that the provider has no record of stays as it is: the request may still be on its way.
func (s *Service) Resolve(ctx context.Context, orderID string) (Payment, error) {
	p, ok, err := s.store.ByOrder(ctx, orderID)
	if err != nil {
		return Payment{}, fmt.Errorf("find the payment of an order: %w", err)
	}
	if !ok {
		return Payment{}, problem.NotFound(ReasonNotFound, "order %s has no payment", orderID)
	}
	return s.settle(ctx, p)
}

// settle brings p to what the provider says.
func (s *Service) settle(ctx context.Context, p Payment) (Payment, error) {
	found, err := s.lookup(ctx, "resolve", p)
	if err != nil {
		return Payment{}, err
	}
	switch {
	case p.Voiding, p.State == Voided && p.ProviderRef == "":
		p, err = s.voidFound(ctx, p, found)
	case p.State == Captured:
		p, err = s.settleRefunds(ctx, p, found)
	case found.State == provider.Held && p.State == Pending:
		p, err = s.record(ctx, Change{ID: p.ID, From: Pending, To: Authorized, Ref: found.Ref})
	case found.State == provider.Captured && (p.State == Pending || p.State == Authorized):
		p, err = s.record(ctx, Change{ID: p.ID, From: p.State, To: Captured, Ref: found.Ref})
	case found.State == provider.Voided && (p.State == Pending || p.State == Authorized):
		p, err = s.record(ctx, Change{ID: p.ID, From: p.State, To: Voided, Ref: found.Ref})
	case found.State == provider.Declined && p.State == Pending:
		p, err = s.record(ctx, Change{ID: p.ID, From: Pending, To: Declined, DeclineCode: found.DeclineCode})
	}
	return p, err
}

// settleRefunds ends the refunds that the provider knows of. One that it doesn't know may be on its way.
func (s *Service) settleRefunds(ctx context.Context, p Payment, found provider.Status) (Payment, error) {
	for _, r := range p.Refunds {
		if _, made := found.Refunds[r.ID]; made && r.State == RefundPending {
			var err error
			if p, err = s.endRefund(ctx, r, RefundSucceeded); err != nil {
				return Payment{}, err
			}
		}
	}
	return p, nil
}

func (s *Service) lookup(ctx context.Context, what string, p Payment) (provider.Status, error) {
	var found provider.Status
	err := s.ask(ctx, "", func(ctx context.Context) (err error) {
		found, err = s.provider.Lookup(ctx, p.query())
		return err
	})
	if err != nil {
		return provider.Status{}, s.failed(ctx, what, p, err)
	}
	return found, nil
}
