package pay

import (
	"context"
	"errors"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// Void lets the held money go. Again, it changes nothing, and for a declined payment there is nothing to do: it is returned as it
// is. PAYMENT_CAPTURED when the money was taken. PAYMENT_OUTCOME_UNKNOWN or PAYMENT_PROVIDER_UNAVAILABLE when the provider does
// not answer: send it again.
//
// A pending payment is first marked, so that it can't be authorised any more, then looked up at the provider: what is held is let
// go. An Authorize that is on its way meanwhile finds the mark and lets go of its hold itself. Should it not live to do so, or reach
// the provider after all once its caller was told that it was lost, then sending Void again lets that hold go: as long as no hold
// is known of a voided payment, the provider is asked each time. The reconciler sends it again for a day.
func (s *Service) Void(ctx context.Context, id string) (Payment, error) {
	p, err := s.Get(ctx, id)
	if err != nil {
		return Payment{}, err
	}
	switch { // when the provider's answer to another comes first, p is what it has become
	case p.State == Pending && !p.Voiding:
		p, err = s.record(ctx, Change{ID: id, From: Pending, To: Pending, Voiding: true})
	case p.State == Authorized && p.Asked != AskVoid:
		p, err = s.record(ctx, Change{ID: id, From: Authorized, To: Authorized, Asked: AskVoid})
	}
	if err != nil {
		return Payment{}, err
	}
	switch {
	case p.State == Pending, p.State == Voided && p.ProviderRef == "":
		found, err := s.lookup(ctx, "void", p)
		if err != nil {
			return Payment{}, err
		}
		return s.voidFound(ctx, p, found)
	case p.State == Authorized:
		return s.voidHold(ctx, p, p.ProviderRef)
	default:
		return voidAnswer(p)
	}
}

// voidFound voids a payment of which no hold is known: the provider says whether there is one.
func (s *Service) voidFound(ctx context.Context, p Payment, found provider.Status) (Payment, error) {
	switch found.State {
	case provider.Held:
		return s.voidHold(ctx, p, found.Ref)
	case provider.Captured: // not by us, who capture only what is authorised, but the provider is right
		return s.recordEnd(ctx, p, Change{To: Captured, Ref: found.Ref})
	case provider.Declined:
		if p.State == Voided {
			return p, nil // it was told so
		}
		return s.recordEnd(ctx, p, Change{To: Declined, DeclineCode: found.DeclineCode})
	default: // Unknown or Voided: nothing is held
		if p.State == Voided && found.Ref == "" {
			return p, nil
		}
		return s.recordEnd(ctx, p, Change{To: Voided, Ref: found.Ref})
	}
}

func (s *Service) voidHold(ctx context.Context, p Payment, ref string) (Payment, error) {
	err := s.ask(ctx, "void", func(ctx context.Context) error { return s.provider.Void(ctx, ref, voidKey(p.ID)) })
	switch {
	case err == nil:
		return s.recordEnd(ctx, p, Change{To: Voided, Ref: ref})
	case errors.Is(err, provider.ErrCaptured): // a Capture was quicker: the provider is right
		return s.recordEnd(ctx, p, Change{To: Captured, Ref: ref})
	default:
		return Payment{}, s.failed(ctx, "void", p, err)
	}
}

// recordEnd writes down how p ended, and answers the caller.
func (s *Service) recordEnd(ctx context.Context, p Payment, c Change) (Payment, error) {
	c.ID, c.From, c.FromVoiding = p.ID, p.State, p.Voiding
	now, err := s.record(ctx, c)
	if err != nil {
		return Payment{}, err
	}
	return voidAnswer(now)
}

func voidAnswer(p Payment) (Payment, error) {
	switch p.State {
	case Voided, Declined:
		return p, nil
	case Captured:
		return Payment{}, problem.FailedPrecondition(ReasonCaptured, "payment %s is captured: the money was taken", p.ID)
	default:
		return Payment{}, problem.Aborted(ReasonNotAuthorized, "payment %s changed while it was being voided: send it again", p.ID)
	}
}
