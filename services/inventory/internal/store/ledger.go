package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/services/inventory/internal/stock"
)

const entryColumns = "sku, at, delta, kind, reference, on_hand"

// Ledger implements stock.Store.
func (s *Store) Ledger(ctx context.Context, sku string, before time.Time, limit int) ([]stock.Entry, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+entryColumns+" FROM stock_ledger WHERE sku = $1 AND at < $2 ORDER BY at DESC LIMIT $3",
		sku, before.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []stock.Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return out, nil
}

// Entry implements stock.Tx.
func (t tx) Entry(ctx context.Context, kind stock.Kind, reference, sku string) (stock.Entry, bool, error) {
	e, err := scanEntry(t.QueryRowContext(ctx, "SELECT "+entryColumns+" FROM stock_ledger WHERE kind = $1 AND reference = $2 AND sku = $3",
		string(kind), reference, sku))
	if errors.Is(err, sql.ErrNoRows) {
		return stock.Entry{}, false, nil
	}
	if err != nil {
		return stock.Entry{}, false, fmt.Errorf("read the ledger: %w", err)
	}
	return e, true, nil
}

// Record implements stock.Tx.
func (t tx) Record(ctx context.Context, entries []stock.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	const width = 6
	args := make([]any, 0, width*len(entries))
	for _, e := range entries {
		args = append(args, e.SKU, e.At.UnixMicro(), e.Delta, string(e.Kind), e.Reference, e.OnHand)
	}
	_, err := t.ExecContext(ctx, "INSERT INTO stock_ledger ("+entryColumns+") VALUES "+rows(len(entries), width), args...)
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}

func scanEntry(row scanner) (e stock.Entry, err error) {
	var at int64
	err = row.Scan(&e.SKU, &at, &e.Delta, &e.Kind, &e.Reference, &e.OnHand)
	e.At = time.UnixMicro(at).UTC()
	return e, err
}
