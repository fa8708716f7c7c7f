package pay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// When charges are sought that no payment knows.
const (
	// strayGrace is how old a charge is before it is looked for: what is on its way has long arrived, and clocks differ by less.
	strayGrace = time.Hour
	// strayOverlap is how much of what was looked at before is looked at again: the provider's clock isn't ours.
	strayOverlap = time.Hour
	// strayBack is how far back a new database begins: no hold lives longer.
	strayBack = 7 * 24 * time.Hour
)

// Stray is a charge at the provider that no payment knows.
type Stray struct {
	provider.Charge
	// Remedy is what is to be done about it, or was done.
	Remedy Remedy
	// Found is when it was first seen, Settled when the provider kept nothing of it any more; zero until then.
	Found, Settled time.Time
}

// Remedy is what is done about a stray charge.
type Remedy string

// The remedies.
const (
	RemedyVoid   Remedy = "void"
	RemedyRefund Remedy = "refund"
	// RemedyReport leaves it to a person.
	RemedyReport Remedy = "report"
)

// SeekStrays looks through what was charged at the provider since the last time, but for the last hour, for charges that no payment knows,
// and sees to those that are known to be stray. It says whether it came through; when not, the provider did not answer, and it is to be
// called again. Its error is the store's.
//
// How can there be one? A payment is committed before its charge is asked for, and is never deleted, so a charge that was listed and whose
// payment is not there when it is looked up afterwards has lost its payment: the database went back to an earlier state (a backup, a
// replica that was behind), or it was made by someone else. There is no payment "about to be written". How far was sought is in the same
// database: when that goes back, so does the search.
//
// Only a charge whose key and order say that this module made it is touched:
//
//   - A hold is voided. Nobody has captured it, and nobody can: whoever would asks for the payment first, which isn't there.
//   - Taken money goes back when the order has another payment: it was taken beside that one.
//   - Taken money of an order without any payment stays, and is reported: the order may have been shipped before the database went back.
//
// Everything else is reported, and looked at again each time until the provider keeps nothing of it. Two shops must not share a provider's
// account: each would void the other's holds.
//
// It may be stopped anywhere: a stray is written down before it is seen to, and each remedy has one key of its charge's.
func (s *Service) SeekStrays(ctx context.Context) (through bool, err error) {
	now := s.time()
	to := now.Add(-strayGrace)
	from, err := s.store.Sought(ctx, s.provider.Name())
	switch {
	case err != nil:
		return false, fmt.Errorf("find out how far charges were sought: %w", err)
	case from.IsZero():
		from = now.Add(-strayBack)
	default:
		from = from.Add(-strayOverlap)
	}
	if through, err = s.seek(ctx, from, to); err != nil {
		return false, err
	}
	if through {
		if err := s.store.SetSought(ctx, s.provider.Name(), to); err != nil {
			return false, fmt.Errorf("note how far charges were sought: %w", err)
		}
	}
	return through, s.seeToStrays(ctx)
}

// seek writes down the strays of a window.
func (s *Service) seek(ctx context.Context, from, to time.Time) (through bool, err error) {
	for after := ""; from.Before(to); {
		var page provider.Charges
		err := s.ask(ctx, "list", func(ctx context.Context) (err error) {
			page, err = s.provider.List(ctx, provider.Window{From: from, To: to, After: after, Limit: batch})
			return err
		})
		if err == nil && page.Next != "" && page.Next == after {
			err = errors.New("its list of charges does not go on")
		}
		if err != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the payment provider's charges can't be listed", slog.Any("error", err))
			return false, ctx.Err()
		}
		if err := s.noteStrays(ctx, page.List); err != nil {
			return false, err
		}
		if after = page.Next; after == "" {
			break
		}
	}
	return true, nil
}

func (s *Service) noteStrays(ctx context.Context, list []provider.Charge) error {
	keys := make([]string, 0, len(list))
	for _, c := range list {
		keys = append(keys, c.Key)
	}
	known, err := s.store.Known(ctx, keys) // after the list: see SeekStrays
	if err != nil {
		return fmt.Errorf("look up the payments of charges: %w", err)
	}
	for _, c := range list {
		if known[c.Key] {
			continue
		}
		added, err := s.store.AddStray(ctx, s.provider.Name(), Stray{Charge: c, Remedy: RemedyReport, Found: s.time()})
		if err != nil {
			return fmt.Errorf("write down a stray charge: %w", err)
		}
		if added {
			s.log.LogAttrs(ctx, slog.LevelError, "the payment provider has a charge that no payment knows", slog.String("provider_ref", c.Ref),
				slog.String("payment_id", c.Key), slog.String("order_id", c.Order), slog.Int64("minor", c.Amount.Minor),
				slog.String("currency", c.Amount.Currency), slog.Bool("alarm", true))
		}
	}
	return nil
}

// seeToStrays does for each stray what can be done.
func (s *Service) seeToStrays(ctx context.Context) error {
	for after := ""; ; {
		list, err := s.store.OpenStrays(ctx, s.provider.Name(), after, batch)
		if err != nil {
			return fmt.Errorf("read stray charges: %w", err)
		}
		for _, st := range list {
			if err := s.seeTo(ctx, st); err != nil {
				return fmt.Errorf("see to the stray charge %s: %w", st.Ref, err)
			}
		}
		if len(list) < batch {
			return nil
		}
		after = list[len(list)-1].Ref
	}
}

// seeTo is for one. A provider that does not answer is asked again the next time.
func (s *Service) seeTo(ctx context.Context, st Stray) error {
	found, err := s.lookStray(ctx, st)
	if err != nil {
		return ctx.Err()
	}
	remedy, kept, err := s.remedy(ctx, st, found)
	if err != nil {
		return err
	}
	if remedy != st.Remedy && kept > 0 { // written down first
		st.Remedy = remedy
		if err := s.store.SetStray(ctx, s.provider.Name(), st); err != nil {
			return err
		}
	}
	if kept > 0 && remedy == RemedyReport {
		return nil
	}
	if kept > 0 {
		err := s.ask(ctx, "stray", func(ctx context.Context) error {
			if remedy == RemedyVoid {
				return s.provider.Void(ctx, st.Ref, voidKey(st.Key))
			}
			return s.provider.Refund(ctx, st.Ref, st.Key+":stray", provider.Money{Currency: found.Amount.Currency, Minor: kept})
		})
		if err != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "a stray charge could not be given back", slog.String("provider_ref", st.Ref),
				slog.String("remedy", string(remedy)), slog.Bool("alarm", true), slog.Any("error", err))
			return ctx.Err()
		}
		s.log.LogAttrs(ctx, slog.LevelWarn, "a stray charge was given back", slog.String("provider_ref", st.Ref),
			slog.String("order_id", st.Order), slog.String("remedy", string(remedy)), slog.Int64("minor", kept))
	}
	st.Settled = s.time()
	return s.store.SetStray(ctx, s.provider.Name(), st)
}

// remedy says what is to be done, and how much the provider holds or keeps of the charge.
func (s *Service) remedy(ctx context.Context, st Stray, found provider.Status) (Remedy, int64, error) {
	kept := int64(0)
	switch found.State {
	case provider.Held:
		kept = found.Amount.Minor
	case provider.Captured:
		kept = found.Captured - found.Refunded
	case provider.Unknown, provider.Voided, provider.Declined:
	}
	ours := uuid.Validate(st.Key) == nil && st.Order != ""
	if kept == 0 || !ours {
		return RemedyReport, kept, nil
	}
	if _, known, err := s.store.Payment(ctx, st.Key); err != nil || known {
		return RemedyReport, 0, err // somebody has brought its payment back
	}
	if found.State == provider.Held {
		return RemedyVoid, kept, nil
	}
	_, paid, err := s.store.ByOrder(ctx, st.Order)
	if err != nil || !paid {
		return RemedyReport, kept, err
	}
	return RemedyRefund, kept, nil
}

func (s *Service) lookStray(ctx context.Context, st Stray) (found provider.Status, err error) {
	err = s.ask(ctx, "", func(ctx context.Context) (err error) {
		found, err = s.provider.Lookup(ctx, provider.Query{IdempotencyKey: st.Key, Order: st.Order, Amount: st.Amount, Ref: st.Ref})
		return err
	})
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "the payment provider does not say how a stray charge stands", slog.String("provider_ref", st.Ref),
			slog.Any("error", err))
	}
	return found, err
}

// Strays returns how many stray charges wait for somebody.
func (s *Service) Strays(ctx context.Context) (int64, error) { return s.store.CountStrays(ctx) }
