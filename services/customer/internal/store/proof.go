package store

import (
	"context"
	"errors"

	"github.com/cleavehq/cleave/services/customer/internal/account"
)

// AddRegistration implements account.Tx.
func (t *tx) AddRegistration(ctx context.Context, r account.Registration) error {
	return t.do(ctx, "write a registration", `INSERT INTO registration
		(token_hash, customer_id, email, name, locale, password_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.TokenHash, r.ID, r.Email, r.Name, r.Locale, r.PasswordHash, micros(r.Created), micros(r.Expires))
}

// TakeRegistration implements account.Tx. Reading and deleting are one statement: of two takers one has it.
func (t *tx) TakeRegistration(ctx context.Context, tokenHash string) (account.Registration, error) {
	var r account.Registration
	var created, expires int64
	err := t.row(ctx, "a registration", `DELETE FROM registration WHERE token_hash = $1
		RETURNING token_hash, customer_id, email, name, locale, password_hash, created_at, expires_at`, []any{tokenHash},
		[]any{&r.TokenHash, &r.ID, &r.Email, &r.Name, &r.Locale, &r.PasswordHash, &created, &expires})
	r.Created, r.Expires = at(created), at(expires)
	return r, err
}

// DropRegistrations implements account.Tx.
func (t *tx) DropRegistrations(ctx context.Context, email string) error {
	return t.do(ctx, "delete registrations", "DELETE FROM registration WHERE email = $1", email)
}

// Reset implements account.Reader.
func (r reader) Reset(ctx context.Context, tokenHash string) (account.Reset, error) {
	var out account.Reset
	var expires int64
	err := r.row(ctx, "a reset", "SELECT token_hash, customer_id, expires_at FROM password_reset WHERE token_hash = $1", []any{tokenHash},
		[]any{&out.TokenHash, &out.CustomerID, &expires})
	out.Expires = at(expires)
	return out, err
}

// AddReset implements account.Tx.
func (t *tx) AddReset(ctx context.Context, r account.Reset) error {
	return t.do(ctx, "write a reset", "INSERT INTO password_reset (token_hash, customer_id, expires_at) VALUES ($1, $2, $3)",
		r.TokenHash, r.CustomerID, micros(r.Expires))
}

// DropResets implements account.Tx.
func (t *tx) DropResets(ctx context.Context, customerID string) error {
	return t.do(ctx, "delete resets", "DELETE FROM password_reset WHERE customer_id = $1", customerID)
}

// Attempts implements account.Tx.
func (t *tx) Attempts(ctx context.Context, key string) (account.Attempts, error) {
	var a account.Attempts
	var last, until int64
	err := t.row(ctx, "attempts", "SELECT count, last_at, not_before FROM attempt WHERE key = $1", []any{key}, []any{&a.Count, &last, &until})
	if err != nil {
		if errors.Is(err, account.ErrNone) {
			err = nil
		}
		return account.Attempts{}, err
	}
	a.Last, a.Until = at(last), at(until)
	return a, nil
}

// PutAttempts implements account.Tx.
func (t *tx) PutAttempts(ctx context.Context, key string, a account.Attempts) error {
	return t.do(ctx, "write attempts", `INSERT INTO attempt (key, count, last_at, not_before) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key) DO UPDATE SET count = excluded.count, last_at = excluded.last_at, not_before = excluded.not_before`,
		key, a.Count, micros(a.Last), micros(a.Until))
}

// DropAttempts implements account.Tx.
func (t *tx) DropAttempts(ctx context.Context, key string) error {
	return t.do(ctx, "delete attempts", "DELETE FROM attempt WHERE key = $1", key)
}
