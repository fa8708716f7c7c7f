package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/services/notification/internal/letters"
)

// tx is a letters.Tx in one SQL transaction.
type tx struct{ *sql.Tx }

var _ letters.Tx = tx{}

// In is a transaction of somebody else's, who commits it.
func In(t *sql.Tx) letters.Tx { return tx{t} }

// Add implements letters.Tx.
func (t tx) Add(ctx context.Context, m letters.Mail) error {
	var gone int64
	if err := t.QueryRowContext(ctx, "SELECT COUNT(*) FROM erased_customer WHERE id = $1", m.CustomerID).Scan(&gone); err != nil {
		return fmt.Errorf("read erased customers: %w", err)
	}
	if gone > 0 {
		return nil
	}
	secret := int64(0)
	if m.Secret {
		secret = 1
	}
	_, err := t.ExecContext(ctx, `INSERT INTO mail (id, event_id, template, locale, recipient, customer_id, order_id, subject, body, html, secret, state,
		created_at, updated_at, next_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (event_id, template) DO NOTHING`,
		m.ID, m.EventID, m.Template, m.Locale, m.To, m.CustomerID, m.OrderID, m.Subject, m.Text, m.HTML, secret, string(m.State),
		m.Created.UnixMicro(), m.Updated.UnixMicro(), micros(m.Next), micros(m.Expires))
	if err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	return nil
}

// Told implements letters.Tx.
func (t tx) Told(ctx context.Context, orderID, template string) (bool, error) {
	var n int64
	if err := t.QueryRowContext(ctx, "SELECT COUNT(*) FROM mail WHERE order_id = $1 AND template = $2", orderID, template).Scan(&n); err != nil {
		return false, fmt.Errorf("read the mails of an order: %w", err)
	}
	return n > 0, nil
}

// Erase implements letters.Tx.
func (t tx) Erase(ctx context.Context, customerID string, now time.Time) error {
	if _, err := t.ExecContext(ctx, "INSERT INTO erased_customer (id, erased_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
		customerID, now.UnixMicro()); err != nil {
		return fmt.Errorf("note an erased customer: %w", err)
	}
	if _, err := t.ExecContext(ctx, `UPDATE mail SET state = 'ERASED', recipient = '', subject = '', body = '', html = '', updated_at = $1, next_at = 0
		WHERE customer_id = $2`, now.UnixMicro(), customerID); err != nil {
		return fmt.Errorf("erase the mails of a customer: %w", err)
	}
	return nil
}
