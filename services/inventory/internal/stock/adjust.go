package stock

import (
	"context"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Adjust adds delta to what is on hand; a negative one takes. The SKU must have been counted once: STOCK_NOT_FOUND otherwise,
// since a correction of nothing is a slip of the pen. ON_HAND_BELOW_RESERVED when fewer would be left than are promised,
// ON_HAND_TOO_LARGE beyond MaxOnHand.
//
// With a requestID it is made once: sent again it answers as the first time, and with another SKU or delta it is
// ADJUSTMENT_DIFFERS. One that failed was not made, and may be sent again. Without a requestID each call counts.
func (s *Service) Adjust(ctx context.Context, sku string, delta int64, requestID string) (Stock, error) {
	if err := checkSKU(sku); err != nil {
		return Stock{}, err
	}
	if delta < -MaxOnHand || delta > MaxOnHand {
		return Stock{}, problem.InvalidArgument(ReasonOutOfRange, "delta is -%d to %d, not %d", MaxOnHand, MaxOnHand, delta)
	}
	var result Stock
	ref := requestID
	if ref == "" {
		var err error
		if ref, err = newReference(); err != nil {
			return Stock{}, err
		}
	}
	err := s.change(ctx, func(tx Tx, at time.Time) (changed []Change, err error) {
		if requestID == "" {
			result, changed, err = adjust(ctx, tx, sku, delta, ref, at)
			return changed, err
		}
		// The id is claimed first: of two calls with the same id one waits here for the other, and then sees its claim.
		claim := Adjustment{RequestID: requestID, SKU: sku, Delta: delta}
		first, claimed, err := tx.ClaimAdjustment(ctx, claim, at)
		if err != nil {
			return nil, err
		}
		if !claimed {
			if first.SKU != sku || first.Delta != delta {
				return nil, problem.AlreadyExists(ReasonAdjustmentDiffers, "request_id %s has adjusted %s by %d", requestID, first.SKU, first.Delta)
			}
			result = first.Result
			return nil, nil
		}
		if result, changed, err = adjust(ctx, tx, sku, delta, ref, at); err != nil {
			return nil, err // the claim is rolled back with it
		}
		claim.Result = result
		return changed, tx.FinishAdjustment(ctx, claim)
	})
	if err != nil {
		return Stock{}, fmt.Errorf("adjust stock: %w", err)
	}
	return result, nil
}

func adjust(ctx context.Context, tx Tx, sku string, delta int64, ref string, at time.Time) (Stock, []Change, error) {
	st, err := counted(ctx, tx, sku)
	if err != nil || delta == 0 {
		return st, nil, err
	}
	// Both are at most 10^9, so the sum is far from the end of an int64.
	onHand := st.OnHand + delta
	if onHand < st.Reserved {
		return Stock{}, nil, problem.FailedPrecondition(ReasonBelowReserved,
			"%s: %d are on hand and %d of them reserved; %d can't be taken", sku, st.OnHand, st.Reserved, -delta)
	}
	if onHand > MaxOnHand {
		return Stock{}, nil, tooMany(st, delta)
	}
	st.OnHand, st.UpdateTime = onHand, st.After(at)
	return st, []Change{{Stock: st, Delta: delta, Kind: Adjusted, Reference: ref}}, tx.Put(ctx, []Stock{st})
}

// counted returns a stock that was counted once; STOCK_NOT_FOUND otherwise.
func counted(ctx context.Context, tx Tx, sku string) (Stock, error) {
	known, err := tx.Stocks(ctx, []string{sku})
	if err != nil {
		return Stock{}, err
	}
	st, ok := known[sku]
	if !ok {
		return Stock{}, notCounted(sku)
	}
	return st, nil
}

func tooMany(st Stock, more int64) error {
	return problem.FailedPrecondition(ReasonTooMany,
		"%s: %d are on hand; with %d more there would be more than %d", st.SKU, st.OnHand, more, MaxOnHand)
}
