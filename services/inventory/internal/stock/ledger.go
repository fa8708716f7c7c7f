package stock

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Kind is why on hand changed.
type Kind string

// The kinds.
const (
	Counted  Kind = "count"
	Adjusted Kind = "adjust"
	Sold     Kind = "sale"
	Returned Kind = "return"
	Supplied Kind = "supply"
)

// Entry is one change of a SKU's on hand. The deltas of a SKU sum to its on hand, after every transaction. An entry is never changed.
type Entry struct {
	SKU   string
	Delta int64
	Kind  Kind
	// Reference is what it was for; one entry per kind, reference and SKU.
	Reference string
	// OnHand is the sum of the deltas up to here.
	OnHand int64
	// At is the stock's update time right after it: no two of a SKU have the same, and the later is the newer.
	At time.Time
}

// Change is a stock after a change. Delta is 0 when only what is reserved changed, and then there is no entry for it.
type Change struct {
	Stock     Stock
	Delta     int64
	Kind      Kind
	Reference string
}

// change runs fn in a transaction, and in the same one writes into the ledger what fn says has changed, and tells others of it.
func (s *Service) change(ctx context.Context, fn func(tx Tx, at time.Time) ([]Change, error)) error {
	at := s.moment()
	return s.store.Update(ctx, func(tx Tx) error {
		changes, err := fn(tx, at)
		if err != nil || len(changes) == 0 {
			return err
		}
		stocks := make([]Stock, len(changes))
		var entries []Entry
		for i, c := range changes {
			stocks[i] = c.Stock
			if c.Delta != 0 {
				entries = append(entries, Entry{
					SKU: c.Stock.SKU, Delta: c.Delta, Kind: c.Kind, Reference: c.Reference, OnHand: c.Stock.OnHand, At: c.Stock.UpdateTime,
				})
			}
		}
		if err := tx.Record(ctx, entries); err != nil {
			return err
		}
		return tx.Tell(ctx, stocks)
	})
}

// Ledger returns one page of a SKU's entries, the newest first, and the token of the next page: "" on the last one.
func (s *Service) Ledger(ctx context.Context, sku string, size int, token string) ([]Entry, string, error) {
	if err := checkSKU(sku); err != nil {
		return nil, "", err
	}
	list := page.Of("ledger", sku)
	keys, err := list.Parse(token, 1)
	if err != nil {
		return nil, "", err
	}
	before := time.UnixMicro(1<<62 - 1)
	if len(keys) > 0 {
		micros, err := strconv.ParseInt(strings.Join(keys, ""), 10, 63)
		if err != nil {
			return nil, "", page.Invalid()
		}
		before = time.UnixMicro(micros)
	}
	n := page.Size(size)
	found, err := s.store.Ledger(ctx, sku, before, n+1) // one more tells whether there is a next page
	if err != nil {
		return nil, "", fmt.Errorf("list the ledger: %w", err)
	}
	if len(found) <= n {
		return found, "", nil
	}
	return found[:n], list.Token(strconv.FormatInt(found[n-1].At.UnixMicro(), 10)), nil
}

// Restock adds pieces that came in, Returned or Supplied. It is made once for a kind, a reference and a SKU: sent again it changes
// nothing and answers with the stock as it is now; with another quantity it is RESTOCK_DIFFERS. STOCK_NOT_FOUND when the SKU was never
// counted, ON_HAND_TOO_LARGE beyond MaxOnHand.
func (s *Service) Restock(ctx context.Context, kind Kind, reference string, l Line) (Stock, error) {
	var result Stock
	err := s.bring(ctx, kind, reference, []Line{l}, func(st Stock) { result = st })
	if err != nil {
		return Stock{}, fmt.Errorf("restock: %w", err)
	}
	return result, nil
}

// Return puts back all lines of a return, or none, as Restock does each.
func (s *Service) Return(ctx context.Context, reference string, lines []Line) error {
	if err := s.bring(ctx, Returned, reference, lines, func(Stock) {}); err != nil {
		return fmt.Errorf("put back a return: %w", err)
	}
	return nil
}

func (s *Service) bring(ctx context.Context, kind Kind, reference string, lines []Line, seen func(Stock)) error {
	if err := checkReference(reference); err != nil {
		return err
	}
	if kind != Returned && kind != Supplied {
		return problem.InvalidArgument(ReasonOutOfRange, "a restock is a return or a supply")
	}
	sorted, err := sortLines(lines)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx Tx, at time.Time) (changes []Change, err error) {
		for _, l := range sorted {
			st, c, err := bring(ctx, tx, kind, reference, l, at)
			if err != nil {
				return nil, err
			}
			changes = append(changes, c...)
			seen(st)
		}
		return changes, nil
	})
}

func bring(ctx context.Context, tx Tx, kind Kind, reference string, l Line, at time.Time) (Stock, []Change, error) {
	st, err := counted(ctx, tx, l.SKU)
	if err != nil {
		return Stock{}, nil, err
	}
	was, done, err := tx.Entry(ctx, kind, reference, l.SKU)
	if err != nil {
		return Stock{}, nil, err
	}
	if done {
		if was.Delta != l.Quantity {
			err = problem.AlreadyExists(ReasonRestockDiffers, "%s has brought %d of %s", reference, was.Delta, l.SKU)
		}
		return st, nil, err
	}
	// At most 10^9 and 10^6, so the sum is far from the end of an int64.
	if st.OnHand+l.Quantity > MaxOnHand {
		return Stock{}, nil, tooMany(st, l.Quantity)
	}
	st.OnHand, st.UpdateTime = st.OnHand+l.Quantity, st.After(at)
	return st, []Change{{Stock: st, Delta: l.Quantity, Kind: kind, Reference: reference}}, tx.Put(ctx, []Stock{st})
}

// newReference names a change that nobody gave a name.
func newReference() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make a reference: %w", err)
	}
	return id.String(), nil
}
