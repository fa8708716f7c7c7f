package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/customer/internal/token"
)

var _ token.Store = (*Store)(nil)

// Keys implements token.Store.
func (s *Store) Keys(ctx context.Context) ([]token.Record, error) { return s.keys(ctx) }

func (r reader) keys(ctx context.Context) (out []token.Record, err error) {
	rows, err := r.q.QueryContext(ctx,
		"SELECT id, private_key, public_key, created_at, signs_from FROM signing_key ORDER BY signs_from DESC, id DESC")
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var k token.Record
		var public string
		var created, from int64
		if err := rows.Scan(&k.ID, &k.Sealed, &public, &created, &from); err != nil {
			return nil, fmt.Errorf("read the signing keys: %w", err)
		}
		if k.Public, err = base64.RawURLEncoding.DecodeString(public); err != nil {
			return nil, fmt.Errorf("read the signing key %s: its public half is not base64url", k.ID)
		}
		k.Created, k.From = at(created), at(from)
		out = append(out, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	return out, nil
}

// ChangeKeys implements token.Store.
func (s *Store) ChangeKeys(ctx context.Context, fn func(all []token.Record) (add []token.Record, drop []string, err error)) error {
	return data.Tx(ctx, s.db, func(sqlTx *sql.Tx) error {
		t := &tx{reader{sqlTx}, sqlTx, s.publish}
		all, err := t.keys(ctx)
		if err != nil {
			return err
		}
		add, drop, err := fn(all)
		if err != nil {
			return err
		}
		for _, k := range add {
			err := t.do(ctx, "write a signing key",
				"INSERT INTO signing_key (id, private_key, public_key, created_at, signs_from) VALUES ($1, $2, $3, $4, $5)",
				k.ID, k.Sealed, base64.RawURLEncoding.EncodeToString(k.Public), micros(k.Created), micros(k.From))
			if err != nil {
				return err
			}
		}
		for _, id := range drop {
			if err := t.do(ctx, "delete a signing key", "DELETE FROM signing_key WHERE id = $1", id); err != nil {
				return err
			}
		}
		return nil
	})
}
