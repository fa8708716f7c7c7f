package data

import (
	"context"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

// maxName bounds the name of a statement's span, in bytes.
const maxName = 60

// summary names a statement by what it does and to which table: "INSERT outbox". No value is in it.
// https://opentelemetry.io/docs/specs/semconv/database/database-spans/#generating-a-summary-of-the-query
func summary(text string) string {
	verb, rest := word(text)
	verb = strings.ToUpper(verb)
	var before string
	switch verb {
	case "SELECT", "DELETE":
		before = "FROM"
	case "INSERT":
		before = "INTO"
	case "UPDATE":
		table, _ := word(rest)
		return joinName(verb, table)
	case "":
		return "SQL"
	default:
		return joinName(verb, "")
	}
	for len(rest) > 0 {
		var w string
		if w, rest = word(rest); strings.EqualFold(w, before) {
			table, _ := word(rest)
			return joinName(verb, table)
		}
	}
	return joinName(verb, "")
}

// word cuts the first word off a text: letters, digits, underscores and points.
func word(text string) (w, rest string) {
	in := func(r rune) bool {
		return r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	from := strings.IndexFunc(text, in)
	if from < 0 {
		return "", ""
	}
	text = text[from:]
	to := strings.IndexFunc(text, func(r rune) bool { return !in(r) })
	if to < 0 {
		return text, ""
	}
	return text[:to], text[to:]
}

func joinName(verb, table string) string {
	name := verb
	if table != "" {
		name += " " + table
	}
	return name[:min(len(name), maxName)]
}

// sqlCode is what a span says of a statement that failed: the database's code, never its text.
func sqlCode(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "Canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "DeadlineExceeded"
	}
	if s := sqlState(err); s != "" {
		return "SQLSTATE " + s
	}
	if n := sqliteCode(err); n != 0 {
		return "SQLITE " + strconv.Itoa(n)
	}
	return "ERROR"
}

const (
	systemSQLite   = "sqlite"
	systemPostgres = "postgresql"
)

func told(l telemetry.Leaf, system, name string, err error) {
	l.Done(name, telemetry.Client, sqlCode(err), telemetry.Attr{Key: "db.system.name", Value: system})
}

// tracedTx tells of a commit: with a database on a disk it is what takes the time.
type tracedTx struct {
	driver.Tx
	ctx context.Context
}

// Commit implements driver.Tx.
func (t tracedTx) Commit() error {
	l := telemetry.Begin(t.ctx)
	err := t.Tx.Commit()
	told(l, systemSQLite, "COMMIT", err)
	return err
}

// BeginTx implements driver.ConnBeginTx. SQLite's waits for the lock of the one that writes.
func (c *keepingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	l := telemetry.Begin(ctx)
	tx, err := c.sqliteConn.BeginTx(ctx, opts)
	if !l.On() {
		return tx, err
	}
	told(l, systemSQLite, "BEGIN", err)
	if err != nil {
		return nil, err
	}
	return tracedTx{tx, ctx}, nil
}

// pgTracer tells of the statements of PostgreSQL's driver.
type pgTracer struct{}

var _ pgx.QueryTracer = pgTracer{}

type pgKey struct{}

type pgStatement struct {
	leaf telemetry.Leaf
	text string
}

// TraceQueryStart implements pgx.QueryTracer.
func (pgTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	l := telemetry.Begin(ctx)
	if !l.On() {
		return ctx
	}
	return context.WithValue(ctx, pgKey{}, pgStatement{l, d.SQL})
}

// TraceQueryEnd implements pgx.QueryTracer.
func (pgTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	if s, ok := ctx.Value(pgKey{}).(pgStatement); ok {
		told(s.leaf, systemPostgres, summary(s.text), d.Err)
	}
}
