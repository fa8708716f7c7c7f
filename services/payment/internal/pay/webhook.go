package pay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// Webhook acts on what was posted as an event of a provider. WEBHOOK_UNKNOWN_PROVIDER, WEBHOOK_SIGNATURE and WEBHOOK_NOT_UNDERSTOOD
// are final. PAYMENT_PROVIDER_UNAVAILABLE and PAYMENT_OUTCOME_UNKNOWN are not: the provider sends the event again.
//
// What the event says happened is not believed: it may be the second of its kind, or older than what is known. It is the occasion to
// ask the provider how the payment stands, so events may come in any order and any number. An event that was acted on is not acted
// on again; one of a payment that isn't ours is passed over.
func (s *Service) Webhook(ctx context.Context, name string, header map[string]string, body []byte) error {
	if name != s.provider.Name() {
		return problem.NotFound(ReasonNoProvider, "there is no payment provider %q here", name)
	}
	e, err := s.provider.ParseWebhook(header, body)
	switch {
	case errors.Is(err, provider.ErrBadEvent):
		return problem.InvalidArgument(ReasonBadEvent, "the event can't be understood").Because(err)
	case err != nil:
		return problem.PermissionDenied(ReasonSignature, "the event is not signed by the payment provider, or too long ago").Because(err)
	}
	seen, err := s.store.Seen(ctx, name, e.ID)
	if err != nil {
		return fmt.Errorf("look for an event: %w", err)
	}
	if seen || e.Key == "" {
		return nil
	}
	p, ok, err := s.store.Payment(ctx, e.Key)
	if err != nil {
		return fmt.Errorf("find the payment of an event: %w", err)
	}
	if !ok {
		s.log.LogAttrs(ctx, slog.LevelWarn, "an event of a payment that isn't ours", slog.String("event_id", e.ID), slog.String("kind", e.Kind))
		return nil
	}
	if _, err := s.settle(ctx, p); err != nil && !final(err) {
		return err
	}
	if err := s.store.MarkSeen(ctx, name, e, s.time()); err != nil {
		return fmt.Errorf("remember an event: %w", err)
	}
	return nil
}
