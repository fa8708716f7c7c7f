// Package store keeps mails in SQL, in one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/notification/internal/letters"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the goose files of the module's database.
func Migrations() fs.FS { return files }

// Store is a letters.Store and a letters.Queue in a database. It is safe for concurrent use.
type Store struct{ db *sql.DB }

var (
	_ letters.Store = (*Store)(nil)
	_ letters.Queue = (*Store)(nil)
)

// New makes a Store on a migrated database. It does not own db.
func New(db *sql.DB) (*Store, error) {
	if db == nil {
		return nil, errors.New("notification: a database is needed")
	}
	return &Store{db: db}, nil
}

const (
	head = "id, event_id, template, locale, recipient, customer_id, order_id, subject, secret, state, attempts, again, why, created_at, updated_at, next_at, expires_at"
	full = head + ", body, html"
)

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// mails reads mails with the columns of head or of full.
func mails(ctx context.Context, q querier, columns, tail string, args ...any) (out []letters.Mail, err error) {
	rows, err := q.QueryContext(ctx, "SELECT "+columns+" FROM mail "+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read mails: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var m letters.Mail
		var secret, created, updated, next, expires int64
		into := []any{
			&m.ID, &m.EventID, &m.Template, &m.Locale, &m.To, &m.CustomerID, &m.OrderID, &m.Subject, &secret, &m.State, &m.Attempts, &m.Again,
			&m.Why, &created, &updated, &next, &expires,
		}
		if columns == full {
			into = append(into, &m.Text, &m.HTML)
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read mails: %w", err)
		}
		m.Secret, m.Created, m.Updated, m.Next, m.Expires = secret != 0, moment(created), moment(updated), moment(next), moment(expires)
		out = append(out, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read mails: %w", err)
	}
	return out, nil
}

// moment is the time of microseconds; the zero time of 0.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// micros is the inverse of moment.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func first(list []letters.Mail, err error) (letters.Mail, bool, error) {
	if err != nil || len(list) == 0 {
		return letters.Mail{}, false, err
	}
	return list[0], true, nil
}

// Mail implements letters.Store.
func (s *Store) Mail(ctx context.Context, id string) (letters.Mail, bool, error) {
	return first(mails(ctx, s.db, full, "WHERE id = $1", id))
}

// Page implements letters.Store.
func (s *Store) Page(ctx context.Context, only letters.State, before letters.Cursor, limit int) ([]letters.Mail, error) {
	at := int64(math.MaxInt64)
	if before != (letters.Cursor{}) {
		at = before.Created.UnixMicro()
	}
	tail, args := "WHERE (created_at < $1 OR (created_at = $1 AND id < $2))", []any{at, before.ID, limit}
	if only != "" {
		tail += " AND state = $4"
		args = append(args, string(only))
	}
	return mails(ctx, s.db, head, tail+" ORDER BY created_at DESC, id DESC LIMIT $3", args...)
}

// Again implements letters.Store.
func (s *Store) Again(ctx context.Context, id string, now time.Time, check func(letters.Mail) error) (m letters.Mail, ok bool, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		var err error
		if m, ok, err = first(mails(ctx, tx, full, "WHERE id = $1", id)); err != nil || !ok {
			return err
		}
		if err := check(m); err != nil {
			return err
		}
		m.State, m.Attempts, m.Why, m.Again, m.Updated, m.Next = letters.Pending, 0, "", m.Again+1, now, now
		_, err = tx.ExecContext(ctx, "UPDATE mail SET state = $1, attempts = 0, why = '', again = $2, updated_at = $3, next_at = $3 WHERE id = $4",
			string(m.State), m.Again, now.UnixMicro(), id)
		return err
	})
	return m, ok, err
}
