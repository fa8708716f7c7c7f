package store

import (
	"context"
	"database/sql"

	"github.com/cleavehq/cleave/services/customer/internal/account"
)

const accountColumns = "id, email, name, phone, locale, password_hash, staff, admin, created_at, updated_at, erased_at"

// Account implements account.Reader.
func (r reader) Account(ctx context.Context, id string) (account.Account, error) {
	return r.account(ctx, "id", id)
}

// AccountOf implements account.Reader.
func (r reader) AccountOf(ctx context.Context, email string) (account.Account, error) {
	return r.account(ctx, "email", email)
}

func (r reader) account(ctx context.Context, by, value string) (account.Account, error) {
	var a account.Account
	var email sql.NullString
	var staff, admin, created, updated, erased int64
	err := r.row(ctx, "a customer", "SELECT "+accountColumns+" FROM customer WHERE "+by+" = $1", []any{value},
		[]any{&a.ID, &email, &a.Name, &a.Phone, &a.Locale, &a.PasswordHash, &staff, &admin, &created, &updated, &erased})
	a.Email, a.Staff, a.Admin = email.String, staff != 0, admin != 0
	a.Created, a.Updated, a.Erased = at(created), at(updated), at(erased)
	if err != nil {
		return account.Account{}, err
	}
	return a, nil
}

func accountArgs(a account.Account) []any {
	email := sql.NullString{String: a.Email, Valid: a.Email != ""}
	return []any{
		a.ID, email, a.Name, a.Phone, a.Locale, a.PasswordHash, flag(a.Staff), flag(a.Admin), micros(a.Created), micros(a.Updated), micros(a.Erased),
	}
}

// AddAccount implements account.Tx.
func (t *tx) AddAccount(ctx context.Context, a account.Account) error {
	return t.do(ctx, "write a customer", "INSERT INTO customer ("+accountColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, accountArgs(a)...)
}

// PutAccount implements account.Tx.
func (t *tx) PutAccount(ctx context.Context, a account.Account) error {
	return t.do(ctx, "change a customer", `UPDATE customer SET email = $2, name = $3, phone = $4, locale = $5, password_hash = $6,
		staff = $7, admin = $8, created_at = $9, updated_at = $10, erased_at = $11 WHERE id = $1`, accountArgs(a)...)
}
