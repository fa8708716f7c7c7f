package pay

import (
	"context"
	"errors"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// Capture takes the money that is held. Again, it changes nothing. PAYMENT_NOT_AUTHORIZED, PAYMENT_DECLINED or PAYMENT_VOIDED say
// why there is none to take. PAYMENT_OUTCOME_UNKNOWN when the provider does not answer: the payment stays authorised, and the
// next Capture asks with the same key, so the money is taken once. That it was asked for is written down before: the reconciler sends
// the next Capture when nobody else does.
func (s *Service) Capture(ctx context.Context, id string) (Payment, error) {
	p, err := s.Get(ctx, id)
	if err != nil {
		return Payment{}, err
	}
	if p.State == Authorized && p.Asked != AskCapture {
		if p, err = s.record(ctx, Change{ID: id, From: Authorized, To: Authorized, Asked: AskCapture}); err != nil {
			return Payment{}, err
		}
	}
	if p.State != Authorized {
		return captureAnswer(p)
	}
	err = s.ask(ctx, "capture", func(ctx context.Context) error { return s.provider.Capture(ctx, p.ProviderRef, captureKey(id)) })
	switch {
	case err == nil:
		p, err = s.record(ctx, Change{ID: id, From: Authorized, To: Captured})
	case errors.Is(err, provider.ErrVoided): // a Void was quicker, or the hold has lapsed: the provider is right
		p, err = s.record(ctx, Change{ID: id, From: Authorized, To: Voided})
	default:
		err = s.failed(ctx, "capture", p, err)
	}
	if err != nil {
		return Payment{}, err
	}
	return captureAnswer(p)
}

func captureAnswer(p Payment) (Payment, error) {
	switch p.State {
	case Captured:
		return p, nil
	case Declined:
		return Payment{}, declined(p)
	case Voided:
		return Payment{}, voided(p)
	default:
		if p.Voiding {
			return Payment{}, voided(p)
		}
		return Payment{}, problem.FailedPrecondition(ReasonNotAuthorized, "payment %s is %s: there is nothing to take yet", p.ID, p.State)
	}
}
