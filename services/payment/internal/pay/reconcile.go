package pay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	// batch is how many payments one Reconcile looks at.
	batch = 50
	// abandonAfter is how old a pending payment, of which the provider knows nothing, gets before it is voided: whoever had its token
	// is gone.
	abandonAfter = time.Hour
	// keepSeen is how long events are remembered: longer than any provider sends one again.
	keepSeen = 30 * 24 * time.Hour
)

// Reconcile looks at the payments that are due, the provider's answers to which were lost or are too long in coming, and those that
// were not compared with the provider yet: it asks the provider until each is settled. It never guesses. What was decided, a capture,
// a void, a refund, it asks for again with the same key; what was not, it only looks up. A payment that is pending for an hour and that
// the provider does not know is voided, which lets go of a hold that comes to be later.
//
// It returns how many were due. Its error is the store's; the provider's are logged, and the payment is due again later. When ctx
// ends, it ends.
func (s *Service) Reconcile(ctx context.Context) (int, error) {
	now := s.time()
	ids, err := s.store.Due(ctx, now, batch)
	if err != nil {
		return 0, fmt.Errorf("find what is due: %w", err)
	}
	for _, id := range ids {
		if err := s.reconcile(ctx, id); err != nil {
			return len(ids), fmt.Errorf("reconcile payment %s: %w", id, err)
		}
	}
	if err := s.store.ForgetSeen(ctx, now.Add(-keepSeen), batch); err != nil {
		return len(ids), fmt.Errorf("forget old events: %w", err)
	}
	return len(ids), nil
}

func (s *Service) reconcile(ctx context.Context, id string) error {
	now := s.time()
	p, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if err := s.drive(ctx, p, now); err != nil {
		if ctx.Err() != nil {
			return err
		}
		if !final(err) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "a payment is not settled", slog.String("payment_id", id), slog.Any("error", err))
		}
	}
	if p, err = s.Get(ctx, id); err != nil {
		return err
	}
	differs := false
	if p.settled() {
		if differs, err = s.compare(ctx, p); err != nil {
			return err
		}
	}
	return s.store.Postpone(ctx, p, Again(p, differs, now))
}

// drive does what may settle p.
func (s *Service) drive(ctx context.Context, p Payment, now time.Time) (err error) {
	switch {
	case p.Voiding, p.Asked == AskVoid, p.State == Voided && p.ProviderRef == "":
		_, err = s.Void(ctx, p.ID)
	case p.Asked == AskCapture:
		_, err = s.Capture(ctx, p.ID)
	case p.State == Pending:
		var after Payment
		if after, err = s.settle(ctx, p); err == nil && after.State == Pending && now.Sub(p.CreateTime) > abandonAfter {
			_, err = s.Void(ctx, p.ID)
		}
	case p.Refunding > 0:
		err = s.driveRefunds(ctx, p)
	case p.State == Authorized:
		_, err = s.settle(ctx, p)
	}
	return err
}

func (s *Service) driveRefunds(ctx context.Context, p Payment) error {
	var errs []error
	for _, r := range p.Refunds {
		if r.State == RefundPending {
			if _, err := s.giveBack(ctx, p, r); err != nil && !final(err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// final says whether an error is an answer: asking again would bring the same one.
func final(err error) bool {
	var p *problem.Error
	return errors.As(err, &p) && (p.Code == codes.FailedPrecondition || p.Code == codes.AlreadyExists)
}
