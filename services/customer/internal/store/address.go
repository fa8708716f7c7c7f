package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cleavehq/cleave/services/customer/internal/account"
)

const addressColumns = "id, customer_id, label, name, line1, line2, city, postal_code, country, created_at, updated_at"

type scanner interface{ Scan(dest ...any) error }

func scanAddress(row scanner) (account.Address, error) {
	var a account.Address
	var created, updated int64
	err := row.Scan(&a.ID, &a.CustomerID, &a.Label, &a.Name, &a.Line1, &a.Line2, &a.City, &a.PostalCode, &a.Country, &created, &updated)
	a.Created, a.Updated = at(created), at(updated)
	return a, err
}

// Addresses implements account.Reader.
func (r reader) Addresses(ctx context.Context, customerID string) (out []account.Address, err error) {
	rows, err := r.q.QueryContext(ctx, "SELECT "+addressColumns+" FROM address WHERE customer_id = $1 ORDER BY id", customerID)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		a, err := scanAddress(rows)
		if err != nil {
			return nil, fmt.Errorf("read addresses: %w", err)
		}
		out = append(out, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	return out, nil
}

// Address implements account.Tx.
func (t *tx) Address(ctx context.Context, customerID, id string) (account.Address, error) {
	all, err := t.Addresses(ctx, customerID) // there are 50 at most
	if err != nil {
		return account.Address{}, err
	}
	for _, a := range all {
		if a.ID == id {
			return a, nil
		}
	}
	return account.Address{}, account.ErrNone
}

func addressArgs(a account.Address) []any {
	return []any{
		a.ID, a.CustomerID, a.Label, a.Name, a.Line1, a.Line2, a.City, a.PostalCode, a.Country, micros(a.Created), micros(a.Updated),
	}
}

// AddAddress implements account.Tx.
func (t *tx) AddAddress(ctx context.Context, a account.Address) error {
	return t.do(ctx, "write an address", "INSERT INTO address ("+addressColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, addressArgs(a)...)
}

// PutAddress implements account.Tx.
func (t *tx) PutAddress(ctx context.Context, a account.Address) error {
	return t.do(ctx, "change an address", `UPDATE address SET label = $3, name = $4, line1 = $5, line2 = $6, city = $7, postal_code = $8,
		country = $9, created_at = $10, updated_at = $11 WHERE id = $1 AND customer_id = $2`, addressArgs(a)...)
}

// DropAddress implements account.Tx.
func (t *tx) DropAddress(ctx context.Context, customerID, id string) error {
	return t.do(ctx, "delete an address", "DELETE FROM address WHERE customer_id = $1 AND id = $2", customerID, id)
}

// DropAddresses implements account.Tx.
func (t *tx) DropAddresses(ctx context.Context, customerID string) error {
	return t.do(ctx, "delete addresses", "DELETE FROM address WHERE customer_id = $1", customerID)
}
