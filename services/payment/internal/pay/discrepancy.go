package pay

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// What may differ.
const (
	WhatHeld     = "held"
	WhatCaptured = "captured"
	WhatRefunded = "refunded"
)

// Discrepancy is where the provider says otherwise than the ledger.
type Discrepancy struct {
	PaymentID, What string
	// Ledger and Provider are what the two say, in minor units of Currency.
	Currency         string
	Ledger, Provider int64
	// CreateTime is when it was first seen.
	CreateTime time.Time
}

// DiscrepancyCursor is a place in the list of discrepancies, which is ordered by time, payment and what. Zero is before the first.
type DiscrepancyCursor struct {
	CreateTime      time.Time
	PaymentID, What string
}

// compare looks for differences between the provider and the ledger, and says whether there are some. They are for a person: nothing
// is mended. A provider that does not answer is asked again the next time.
func (s *Service) compare(ctx context.Context, p Payment) (bool, error) {
	found, err := s.lookup(ctx, "compare", p)
	if err != nil {
		return true, ctx.Err()
	}
	ledger, same, err := s.store.Balance(ctx, p)
	if err != nil {
		return false, fmt.Errorf("read the ledger: %w", err)
	}
	if !same {
		return true, nil
	}
	list := differences(p, ledger, found)
	for i := range list {
		d := &list[i]
		d.CreateTime = s.time()
		s.log.LogAttrs(ctx, slog.LevelError, "the payment provider and the ledger disagree", slog.String("payment_id", p.ID),
			slog.String("what", d.What), slog.Int64("ledger", d.Ledger), slog.Int64("provider", d.Provider), slog.String("currency", d.Currency))
	}
	if err := s.store.PutDiscrepancies(ctx, p.ID, list); err != nil {
		return false, fmt.Errorf("write discrepancies: %w", err)
	}
	return len(list) > 0, nil
}

func differences(p Payment, ledger Balance, found provider.Status) []Discrepancy {
	var out []Discrepancy
	differ := func(what string, ours, theirs int64) {
		if ours != theirs {
			out = append(out, Discrepancy{PaymentID: p.ID, What: what, Currency: p.Amount.Currency, Ledger: ours, Provider: theirs})
		}
	}
	onHold := int64(0)
	if found.State == provider.Held {
		onHold = found.Amount.Minor
	}
	differ(WhatHeld, ledger.Held, onHold)
	differ(WhatCaptured, ledger.Captured, found.Captured)
	differ(WhatRefunded, ledger.Refunded, found.Refunded)
	return out
}

// Discrepancies returns one page of them, the oldest first, and the token of the next page: "" on the last one.
func (s *Service) Discrepancies(ctx context.Context, size int, token string) ([]Discrepancy, string, error) {
	list := page.Of("discrepancies")
	keys, err := list.Parse(token, 3)
	if err != nil {
		return nil, "", err
	}
	var after DiscrepancyCursor
	if len(keys) > 0 {
		micros, err := strconv.ParseInt(keys[0], 10, 64)
		if err != nil || uuid.Validate(keys[1]) != nil {
			return nil, "", page.Invalid()
		}
		after = DiscrepancyCursor{CreateTime: time.UnixMicro(micros).UTC(), PaymentID: keys[1], What: keys[2]}
	}
	n := page.Size(size)
	found, err := s.store.Discrepancies(ctx, after, n+1)
	if err != nil {
		return nil, "", fmt.Errorf("list discrepancies: %w", err)
	}
	if len(found) <= n {
		return found, "", nil
	}
	last := found[n-1]
	return found[:n], list.Token(strconv.FormatInt(last.CreateTime.UnixMicro(), 10), last.PaymentID, last.What), nil
}
