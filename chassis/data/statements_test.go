package data

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func openKeeping(t *testing.T) *sql.DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Dir: t.TempDir(), Module: "kept", MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, q := range []string{"CREATE TABLE pair (a BIGINT PRIMARY KEY, b TEXT)", "INSERT INTO pair VALUES (1, 'x'), (2, 'y'), (3, 'z')"} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// kept looks at the one connection's statements.
func kept(t *testing.T, db *sql.DB) (out map[string]*keptStmt) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(conn.Raw(func(c any) error {
		k, ok := c.(*keepingConn)
		if !ok {
			return fmt.Errorf("the connection is a %T", c)
		}
		out = make(map[string]*keptStmt)
		for text, e := range k.kept {
			out[text] = element(e)
		}
		if k.used.Len() != len(out) {
			return fmt.Errorf("%d are in the list, %d in the map", k.used.Len(), len(out))
		}
		return nil
	}), conn.Close())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const oneOf = "SELECT b FROM pair WHERE a = $1"

func look(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, a int64,
) (b string, err error) {
	err = q.QueryRowContext(ctx, oneOf, a).Scan(&b)
	return b, err
}

func TestAStatementIsPreparedOnce(t *testing.T) {
	db, ctx := openKeeping(t), t.Context()
	if b, err := look(ctx, db, 1); b != "x" || err != nil {
		t.Fatal(b, err)
	}
	first := kept(t, db)[oneOf]
	err := Tx(ctx, db, func(tx *sql.Tx) error {
		b, err := look(ctx, tx, 2)
		if err == nil && b != "y" {
			err = errors.New(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := look(ctx, db, 9); !errors.Is(err, sql.ErrNoRows) {
		t.Error(err)
	}
	if again := kept(t, db)[oneOf]; first == nil || again != first || again.busy {
		t.Errorf("it was %p, and is %+v", first, again)
	}
}

func count(ctx context.Context, tx *sql.Tx, query string) (n int, err error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

// The text of rows that are still open is run beside them.
func TestAStatementInUseIsNotDisturbed(t *testing.T) {
	db, ctx := openKeeping(t), t.Context()
	const all = "SELECT a FROM pair ORDER BY a"
	err := Tx(ctx, db, func(tx *sql.Tx) error {
		outer, err := tx.QueryContext(ctx, all)
		if err != nil {
			return err
		}
		defer func() { _ = outer.Close() }()
		seen := 0
		for outer.Next() {
			n, err := count(ctx, tx, all)
			if err != nil {
				return err
			}
			seen += n
		}
		if seen != 9 {
			return fmt.Errorf("saw %d", seen)
		}
		return outer.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := kept(t, db)[all]; s == nil || s.busy {
		t.Errorf("%+v", s)
	}
}

func TestAKeptStatementSurvivesItsErrors(t *testing.T) {
	db, ctx := openKeeping(t), t.Context()
	const insert = "INSERT INTO pair (a, b) VALUES ($1, $2)"
	for range 2 {
		if _, err := db.ExecContext(ctx, insert, 1, "again"); !IsUnique(err) {
			t.Fatal(err)
		}
	}
	if _, err := db.ExecContext(ctx, insert, 4, "w"); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	rows, err := db.QueryContext(gone, "SELECT a FROM pair")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	cancel()
	for rows.Next() { // it ends, sooner or later, and then they are closed
	}
	if _, err := look(gone, db, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if b, err := look(ctx, db, 4); b != "w" || err != nil {
		t.Error(b, err)
	}
}

// Another process migrates the database under a kept statement.
func TestAKeptStatementSeesTheNewSchema(t *testing.T) {
	db, ctx := openKeeping(t), t.Context()
	columns := func() int {
		rows, err := db.QueryContext(ctx, "SELECT * FROM pair")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		names, err := rows.Columns()
		if err != nil || !rows.Next() {
			t.Fatal(err, rows.Err())
		}
		return len(names)
	}
	if n := columns(); n != 2 {
		t.Fatal(n)
	}
	if _, err := db.ExecContext(ctx, "ALTER TABLE pair ADD COLUMN c TEXT"); err != nil {
		t.Fatal(err)
	}
	if n := columns(); n != 3 {
		t.Errorf("%d columns", n)
	}
	if _, err := db.ExecContext(ctx, "DROP TABLE pair"); err != nil {
		t.Fatal(err)
	}
	if _, err := look(ctx, db, 1); err == nil {
		t.Error("there is no table any more")
	}
}

func TestSoManyStatementsAreKept(t *testing.T) {
	db, ctx := openKeeping(t), t.Context()
	for i := range 2 * keptStatements {
		var n int
		for _, q := range []string{fmt.Sprintf("SELECT %d", i), "SELECT 7"} {
			if err := db.QueryRowContext(ctx, q).Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := db.ExecContext(ctx, "SELECT 1 -- "+strings.Repeat("-", maxKeptText)); err != nil {
		t.Fatal(err)
	}
	got := kept(t, db)
	if len(got) != keptStatements || got["SELECT 7"] == nil || got["SELECT 8"] != nil {
		t.Errorf("%d are kept; %v, %v", len(got), got["SELECT 7"], got["SELECT 8"])
	}
}

// counting is a driver's connection whose statements are counted.
type counting struct {
	sqliteConn
	open   int
	closed bool
}

type countedStmt struct {
	sqliteStmt
	of *counting
}

func (c *counting) PrepareContext(context.Context, string) (driver.Stmt, error) {
	c.open++
	return &countedStmt{of: c}, nil
}

func (c *counting) Close() error {
	c.closed = true
	if c.open != 0 {
		return fmt.Errorf("%d statements are open", c.open)
	}
	return nil
}

func (s *countedStmt) ExecContext(context.Context, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(0), nil
}

func (s *countedStmt) Close() error { s.of.open--; return nil }

func TestEveryStatementIsClosed(t *testing.T) {
	inner := &counting{}
	c := keeping(inner)
	k, ok := c.(*keepingConn)
	if !ok {
		t.Fatalf("%T", c)
	}
	for i := range 3 * keptStatements {
		if _, err := k.ExecContext(t.Context(), fmt.Sprint(i), nil); err != nil {
			t.Fatal(err)
		}
		if inner.open > keptStatements {
			t.Fatalf("%d are open", inner.open)
		}
	}
	if err := c.Close(); err != nil || !inner.closed {
		t.Error(err)
	}
}
