package stock

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Set says how many were counted. A SKU that was never counted begins to exist. Setting what is there already changes nothing,
// not even the update time. ON_HAND_BELOW_RESERVED when more are promised.
func (s *Service) Set(ctx context.Context, c Count) (Stock, error) {
	if err := checkCount(c); err != nil {
		return Stock{}, err
	}
	var result Stock
	err := s.change(ctx, func(tx Tx, at time.Time) ([]Change, error) {
		b, err := newBatch(ctx, tx, []Count{c})
		if err != nil {
			return nil, err
		}
		if result, _, err = setTo(b.now, c, at); err != nil {
			return nil, err
		}
		b.now[c.SKU] = result
		return b.write(ctx, tx)
	})
	if err != nil {
		return Stock{}, fmt.Errorf("set stock: %w", err)
	}
	return result, nil
}

// Failure says why one count of a batch was not set.
type Failure struct {
	// Index in the batch, from 0.
	Index int
	Err   error
}

// BatchResult says what a batch did. Every count of it is in one of the three.
type BatchResult struct {
	Changed, Unchanged int
	// Failures by index.
	Failures []Failure
}

// SetMany sets up to MaxBatch counts in one transaction and a handful of statements. Each stands alone, as if it had been Set in
// its turn: a bad one is reported, and the others are kept. The error is for what befell the whole batch, and then nothing is set.
func (s *Service) SetMany(ctx context.Context, counts []Count) (BatchResult, error) {
	if len(counts) > MaxBatch {
		return BatchResult{}, problem.InvalidArgument(ReasonOutOfRange, "a batch has at most %d counts, not %d", MaxBatch, len(counts))
	}
	var result BatchResult
	err := s.change(ctx, func(tx Tx, at time.Time) ([]Change, error) {
		b, err := newBatch(ctx, tx, counts)
		if err != nil {
			return nil, err
		}
		for i, c := range counts {
			b.set(i, c, at)
		}
		result = b.result
		return b.write(ctx, tx)
	})
	if err != nil {
		return BatchResult{}, fmt.Errorf("set a batch of stock: %w", err)
	}
	return result, nil
}

// batch plays the counts through in memory, on what the transaction has read; the transaction is serializable, so nobody has
// changed it meanwhile when the outcome is written.
type batch struct {
	before, now map[string]Stock
	result      BatchResult
}

func newBatch(ctx context.Context, tx Tx, counts []Count) (*batch, error) {
	var skus []string
	for _, c := range counts {
		if checkCount(c) == nil {
			skus = append(skus, c.SKU)
		}
	}
	slices.Sort(skus)
	before, err := tx.Stocks(ctx, slices.Compact(skus))
	if err != nil {
		return nil, err
	}
	b := &batch{before: before, now: make(map[string]Stock, len(before))}
	for sku, st := range before {
		b.now[sku] = st
	}
	return b, nil
}

func (b *batch) set(i int, c Count, at time.Time) {
	err := checkCount(c)
	var next Stock
	var changed bool
	if err == nil {
		next, changed, err = setTo(b.now, c, at)
	}
	switch {
	case err != nil:
		b.result.Failures = append(b.result.Failures, Failure{Index: i, Err: err})
	case changed:
		b.now[c.SKU] = next
		b.result.Changed++
	default:
		b.result.Unchanged++
	}
}

// write writes the stocks that differ from what was read, and returns them by SKU: one that was set away and back is not among them.
func (b *batch) write(ctx context.Context, tx Tx) ([]Change, error) {
	var stocks []Stock
	for sku, st := range b.now {
		if was, ok := b.before[sku]; !ok || was.OnHand != st.OnHand {
			stocks = append(stocks, st)
		}
	}
	slices.SortFunc(stocks, func(a, b Stock) int { return cmp.Compare(a.SKU, b.SKU) })
	changes := make([]Change, len(stocks))
	for i, st := range stocks {
		ref, err := newReference()
		if err != nil {
			return nil, err
		}
		changes[i] = Change{Stock: st, Delta: st.OnHand - b.before[st.SKU].OnHand, Kind: Counted, Reference: ref}
	}
	if len(stocks) == 0 {
		return nil, nil
	}
	return changes, tx.Put(ctx, stocks)
}

// setTo returns the stock that c leads to, and whether it is another than before.
func setTo(known map[string]Stock, c Count, at time.Time) (Stock, bool, error) {
	st, ok := known[c.SKU]
	if ok && st.OnHand == c.OnHand {
		return st, false, nil
	}
	if c.OnHand < st.Reserved {
		return Stock{}, false, problem.FailedPrecondition(ReasonBelowReserved,
			"%s: %d are reserved, more than the %d counted", c.SKU, st.Reserved, c.OnHand)
	}
	return Stock{SKU: c.SKU, OnHand: c.OnHand, Reserved: st.Reserved, UpdateTime: st.After(at)}, true, nil
}
