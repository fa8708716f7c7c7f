// Package store keeps the fulfilments in SQL, in one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the goose files of the module's database.
func Migrations() fs.FS { return files }

// Emit writes an event in a transaction, so that it is sent when that has committed.
type Emit func(ctx context.Context, tx *sql.Tx, e shipping.Event) error

// Store is a shipping.Store in a database. It is safe for concurrent use.
type Store struct {
	db   *sql.DB
	emit Emit
}

var _ shipping.Store = (*Store)(nil)

// New makes a Store on a migrated database. It does not own db.
func New(db *sql.DB, emit Emit) (*Store, error) {
	if db == nil || emit == nil {
		return nil, errors.New("fulfilment: a database and a way to send events are needed")
	}
	return &Store{db: db, emit: emit}, nil
}

// Update implements shipping.Store.
func (s *Store) Update(ctx context.Context, fn func(shipping.Tx) error) error {
	return data.Tx(ctx, s.db, func(t *sql.Tx) error { return fn(s.In(t)) })
}

// In is a transaction of somebody else's, who commits it.
func (s *Store) In(t *sql.Tx) shipping.Tx { return tx{t, s.emit} }

// Get implements shipping.Store. A transaction, so that the counts and the parcels are of one moment.
func (s *Store) Get(ctx context.Context, orderID string) (f shipping.Fulfilment, ok bool, err error) {
	err = data.Tx(ctx, s.db, func(t *sql.Tx) error {
		found, err := whole(ctx, t, "WHERE order_id = $1", orderID)
		ok = len(found) > 0
		if ok {
			f = found[0]
		}
		return err
	})
	return f, ok, err
}

// Page implements shipping.Store.
func (s *Store) Page(ctx context.Context, after shipping.Cursor, limit int) (page []shipping.Fulfilment, err error) {
	var where []string
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if after.State != "" {
		where = append(where, "state = "+bind(string(after.State)))
	}
	if after.LeftBeforeCancel {
		where = append(where, "left_before_cancel = 1")
	}
	if after.OrderID != "" {
		where = append(where, "(created_at, order_id) > ("+bind(after.Created.UnixMicro())+", "+bind(after.OrderID)+")")
	}
	tail := " ORDER BY created_at, order_id LIMIT " + bind(int64(limit))
	if len(where) > 0 {
		tail = "WHERE " + strings.Join(where, " AND ") + tail
	}
	err = data.Tx(ctx, s.db, func(t *sql.Tx) error {
		page, err = whole(ctx, t, tail, args...)
		return err
	})
	return page, err
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

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
