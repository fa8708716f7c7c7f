// Package store keeps endpoints and deliveries in SQL, in one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/hook"
	"github.com/cleavehq/cleave/services/webhook/internal/hooks"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the goose files of the module's database.
func Migrations() fs.FS { return files }

// Store is a hooks.Store and a hooks.Queue in a database. It is safe for concurrent use.
type Store struct{ db *sql.DB }

var (
	_ hooks.Store = (*Store)(nil)
	_ hooks.Queue = (*Store)(nil)
)

// New makes a Store on a migrated database. It does not own db.
func New(db *sql.DB) (*Store, error) {
	if db == nil {
		return nil, errors.New("webhook: a database is needed")
	}
	return &Store{db: db}, nil
}

const endpointColumns = "id, url, types, description, disabled, why, created_at, updated_at"

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each scans every row of a query.
func each(ctx context.Context, q querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func endpoints(ctx context.Context, q querier, tail string, args ...any) ([]hooks.Endpoint, error) {
	var out []hooks.Endpoint
	err := each(ctx, q, func(rows *sql.Rows) error {
		var e hooks.Endpoint
		var types string
		var disabled, created, updated int64
		err := rows.Scan(&e.ID, &e.URL, &types, &e.Description, &disabled, &e.Why, &created, &updated)
		e.Types, e.Disabled = strings.Fields(types), disabled != 0
		e.Created, e.Updated = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
		out = append(out, e)
		return err
	}, "SELECT "+endpointColumns+" FROM endpoint "+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	return out, nil
}

func first[T any](list []T, err error) (T, bool, error) {
	var none T
	if err != nil || len(list) == 0 {
		return none, false, err
	}
	return list[0], true, nil
}

// Endpoint implements hooks.Store.
func (s *Store) Endpoint(ctx context.Context, id string) (hooks.Endpoint, bool, error) {
	return first(endpoints(ctx, s.db, "WHERE id = $1", id))
}

// start is where a list begins: before the cursor, or at its head.
func start(before hooks.Cursor) int64 {
	if before == (hooks.Cursor{}) {
		return math.MaxInt64
	}
	return before.Created.UnixMicro()
}

// Endpoints implements hooks.Store.
func (s *Store) Endpoints(ctx context.Context, before hooks.Cursor, limit int) ([]hooks.Endpoint, error) {
	return endpoints(ctx, s.db, "WHERE (created_at < $1 OR (created_at = $1 AND id < $2)) ORDER BY created_at DESC, id DESC LIMIT $3",
		start(before), before.ID, limit)
}

// Add implements hooks.Store.
func (s *Store) Add(ctx context.Context, e hooks.Endpoint, secret hook.Secret, most int) (ok bool, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM endpoint").Scan(&n); err != nil {
			return fmt.Errorf("count endpoints: %w", err)
		}
		if ok = n < most; !ok {
			return nil
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO endpoint (id, url, types, description, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
			e.ID, e.URL, strings.Join(e.Types, " "), e.Description, e.Created.UnixMicro(), e.Updated.UnixMicro()); err != nil {
			return fmt.Errorf("write an endpoint: %w", err)
		}
		return addSecret(ctx, tx, e.ID, secret, e.Created)
	})
	return ok && err == nil, err
}

func addSecret(ctx context.Context, tx *sql.Tx, endpointID string, secret hook.Secret, at time.Time) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO endpoint_secret (endpoint_id, secret, created_at) VALUES ($1, $2, $3)",
		endpointID, secret.Reveal(), at.UnixMicro())
	if err != nil {
		return errors.New("write a secret: the database refused it") // err might show it
	}
	return nil
}

// Change implements hooks.Store.
func (s *Store) Change(ctx context.Context, e hooks.Endpoint) (now hooks.Endpoint, ok bool, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		disabled := int64(0)
		if e.Disabled {
			disabled = 1
		}
		_, err := tx.ExecContext(ctx, `UPDATE endpoint SET url = $1, types = $2, description = $3, disabled = CAST($4 AS BIGINT), updated_at = $5,
			why = CASE WHEN CAST($4 AS BIGINT) = 0 THEN '' ELSE why END WHERE id = $6`,
			e.URL, strings.Join(e.Types, " "), e.Description, disabled, e.Updated.UnixMicro(), e.ID)
		if err != nil {
			return fmt.Errorf("write an endpoint: %w", err)
		}
		now, ok, err = first(endpoints(ctx, tx, "WHERE id = $1", e.ID))
		return err
	})
	return now, ok, err
}

// Delete implements hooks.Store. The messages stay until they are pruned: other endpoints may have them, too.
func (s *Store) Delete(ctx context.Context, id string) (ok bool, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		for _, query := range []string{
			"DELETE FROM delivery WHERE endpoint_id = $1", "DELETE FROM endpoint_secret WHERE endpoint_id = $1", "DELETE FROM endpoint WHERE id = $1",
		} {
			r, err := tx.ExecContext(ctx, query, id)
			if err != nil {
				return fmt.Errorf("delete an endpoint: %w", err)
			}
			n, err := r.RowsAffected()
			if err != nil {
				return fmt.Errorf("delete an endpoint: %w", err)
			}
			ok = n > 0 // the last one is the endpoint itself
		}
		return nil
	})
	return ok, err
}

// Rotate implements hooks.Store.
func (s *Store) Rotate(ctx context.Context, r hooks.Rotation) (e hooks.Endpoint, ok, enough bool, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		enough = false
		if _, err := tx.ExecContext(ctx, "UPDATE endpoint SET updated_at = $1 WHERE id = $2", r.Now.UnixMicro(), r.EndpointID); err != nil {
			return fmt.Errorf("write an endpoint: %w", err)
		}
		var err error
		if e, ok, err = first(endpoints(ctx, tx, "WHERE id = $1", r.EndpointID)); err != nil || !ok {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE endpoint_secret SET until_at = $1 WHERE endpoint_id = $2 AND (until_at = 0 OR until_at > $1)`,
			r.Until.UnixMicro(), r.EndpointID); err != nil {
			return fmt.Errorf("retire the secrets: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM endpoint_secret WHERE endpoint_id = $1 AND until_at <= $2", r.EndpointID, r.Now.UnixMicro()); err != nil {
			return fmt.Errorf("forget the secrets: %w", err)
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM endpoint_secret WHERE endpoint_id = $1", r.EndpointID).Scan(&n); err != nil {
			return fmt.Errorf("count the secrets: %w", err)
		}
		if enough = n >= r.Most; enough {
			return errEnough // nothing is kept
		}
		return addSecret(ctx, tx, r.EndpointID, r.Secret, r.Now)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return e, ok, enough, err
}

var errEnough = errors.New("enough secrets sign")
