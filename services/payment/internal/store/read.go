package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cleavehq/cleave/services/payment/internal/pay"
)

const columns = "id, order_id, state, voiding, asked, currency, minor, authorized, captured, refunded, refunding, provider_ref, decline_code, " +
	"created_at, updated_at"

// querier is a database, or a transaction of one.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type scanner interface{ Scan(dest ...any) error }

// one reads a payment that may be missing, with its refunds, by a column that names one.
func one(ctx context.Context, q querier, column, value string) (pay.Payment, bool, error) {
	p, err := scan(q.QueryRowContext(ctx, "SELECT "+columns+" FROM payment WHERE "+column+" = $1", value))
	if errors.Is(err, sql.ErrNoRows) {
		return pay.Payment{}, false, nil
	}
	if err == nil && p.Captured > 0 { // there is no refund of anything else
		p.Refunds, err = refunds(ctx, q, p.ID)
	}
	if err != nil {
		return pay.Payment{}, false, fmt.Errorf("read a payment: %w", err)
	}
	return p, true, nil
}

// get reads a payment that is there.
func get(ctx context.Context, q querier, id string) (pay.Payment, error) {
	p, ok, err := one(ctx, q, "id", id)
	if err == nil && !ok {
		err = fmt.Errorf("no payment %s to change", id)
	}
	return p, err
}

func refunds(ctx context.Context, q querier, paymentIDs ...string) ([]pay.Refund, error) {
	marks, args := make([]string, len(paymentIDs)), make([]any, len(paymentIDs))
	for i, id := range paymentIDs {
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), id
	}
	return all(ctx, q, scanRefund, "SELECT id, payment_id, state, minor, reason, created_at, updated_at FROM refund WHERE payment_id IN ("+
		strings.Join(marks, ", ")+") ORDER BY created_at, id", args...)
}

// withRefunds gives each payment its refunds.
func withRefunds(ctx context.Context, q querier, list []pay.Payment) error {
	at := map[string]int{}
	var ids []string
	for i, p := range list {
		if p.Captured > 0 {
			at[p.ID] = i
			ids = append(ids, p.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := refunds(ctx, q, ids...)
	if err != nil {
		return fmt.Errorf("read refunds: %w", err)
	}
	for _, r := range found {
		p := &list[at[r.PaymentID]]
		p.Refunds = append(p.Refunds, r)
	}
	return nil
}

func all[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func scan(row scanner) (pay.Payment, error) {
	var p pay.Payment
	var voiding, created, updated int64
	err := row.Scan(&p.ID, &p.OrderID, &p.State, &voiding, &p.Asked, &p.Amount.Currency, &p.Amount.Minor,
		&p.Authorized, &p.Captured, &p.Refunded, &p.Refunding, &p.ProviderRef, &p.DeclineCode, &created, &updated)
	p.Voiding = voiding != 0
	p.CreateTime, p.UpdateTime = moment(created), moment(updated)
	return p, err
}

func scanRefund(row scanner) (pay.Refund, error) {
	var r pay.Refund
	var created, updated int64
	err := row.Scan(&r.ID, &r.PaymentID, &r.State, &r.Minor, &r.Reason, &created, &updated)
	r.CreateTime, r.UpdateTime = moment(created), moment(updated)
	return r, err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// micros is 0 for the zero time, which stands for never.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
