package laws

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// pageSize bounds what is in memory, however many orders there are.
const pageSize = 500

// scanner reads a row; each has an id.
type scanner[T any] func(*sql.Rows) (id string, v T, err error)

// row is what it read.
type row[T any] struct {
	id string
	v  T
}

// each reads the rows of a query a page at a time. The query has a condition ("id > $1") and ends in "ORDER BY id LIMIT $2".
func each[T any](ctx context.Context, tx *sql.Tx, query string, scan scanner[T], fn func(page []row[T]) error) error {
	after := ""
	for {
		page, err := read(ctx, tx, scan, query, after, int64(pageSize))
		if err != nil || len(page) == 0 {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		after = page[len(page)-1].id
	}
}

// find reads the rows that belong to those of a page, by their ids. The query has one %s: the ids.
func find[T, U any](ctx context.Context, tx *sql.Tx, query string, page []row[T], scan scanner[U]) (map[string][]U, error) {
	in, args := make([]string, len(page)), make([]any, len(page))
	for i, r := range page {
		in[i], args[i] = "$"+strconv.Itoa(i+1), r.id
	}
	rows, err := read(ctx, tx, scan, strings.Replace(query, "%s", strings.Join(in, ", "), 1), args...)
	out := make(map[string][]U, len(rows))
	for _, r := range rows {
		out[r.id] = append(out[r.id], r.v)
	}
	return out, err
}

func read[T any](ctx context.Context, tx *sql.Tx, scan scanner[T], query string, args ...any) (out []row[T], err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var r row[T]
		if r.id, r.v, err = scan(rows); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// only is a row of nothing but its id.
func only(rows *sql.Rows) (id string, _ struct{}, err error) {
	err = rows.Scan(&id)
	return id, struct{}{}, err
}
