package data

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

const (
	// keptStatements is how many prepared statements one connection of SQLite keeps. A module has some dozens of texts.
	keptStatements = 96
	// maxKeptText bounds the text of one that is kept, in bytes: a longer one is a migration, or a list of parameters that hardly comes again.
	maxKeptText = 2048
)

// sqliteConn is what the SQLite driver's connection can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteRows is what the SQLite driver's rows can do.
type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// sqliteStmt is what a statement of the SQLite driver can do.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keepingConn is a connection of SQLite that keeps the statements that were used last prepared: the driver itself parses and plans a text each
// time that it runs. PostgreSQL's driver keeps its own. Like every driver.Conn it is used by one goroutine at a time, its rows and transactions
// with it.
//
// SQLite prepares a kept statement again by itself when the schema has changed, https://www.sqlite.org/c3ref/prepare.html, and one that was
// reset holds no lock and no snapshot.
type keepingConn struct {
	sqliteConn
	kept map[string]*list.Element // of *keptStmt, by text
	used *list.List               // the one that was used last in front
}

// keptStmt is a prepared statement. It is busy while rows of it are open: then another run of the same text is prepared apart.
type keptStmt struct {
	sqliteStmt
	text string
	name string // of its spans
	busy bool
}

var (
	_ sqliteConn = (*keepingConn)(nil)
	_ sqliteRows = (*keptRows)(nil)
)

// keeping returns c with kept statements, or c itself when it isn't a connection of SQLite's driver.
func keeping(c driver.Conn) driver.Conn {
	if s, ok := c.(sqliteConn); ok {
		return &keepingConn{sqliteConn: s, kept: make(map[string]*list.Element), used: list.New()}
	}
	return c
}

// statement returns a prepared statement that is free, or nil when the text is to be run without.
func (c *keepingConn) statement(ctx context.Context, text string) (*keptStmt, error) {
	if len(text) > maxKeptText {
		return nil, nil //nolint:nilnil // it isn't kept
	}
	if e, ok := c.kept[text]; ok {
		c.used.MoveToFront(e)
		if s := element(e); !s.busy {
			return s, nil
		}
		return nil, nil //nolint:nilnil // it is in use
	}
	p, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	inner, ok := p.(sqliteStmt)
	if !ok {
		return nil, p.Close()
	}
	if err := c.makeRoom(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	s := &keptStmt{sqliteStmt: inner, text: text, name: summary(text)}
	c.kept[text] = c.used.PushFront(s)
	return s, nil
}

// makeRoom closes the statement that was used longest ago, when there are as many as are kept. Busy ones stay.
func (c *keepingConn) makeRoom() error {
	for e := c.used.Back(); e != nil && c.used.Len() >= keptStatements; {
		s, before := element(e), e.Prev()
		if !s.busy {
			c.used.Remove(e)
			delete(c.kept, s.text)
			if err := s.Close(); err != nil {
				return err
			}
		}
		e = before
	}
	return nil
}

func element(e *list.Element) *keptStmt {
	s, _ := e.Value.(*keptStmt) // nothing else is in the list
	return s
}

// ExecContext implements driver.ExecerContext.
func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	l := telemetry.Begin(ctx)
	s, err := c.statement(ctx, query)
	var r driver.Result
	switch {
	case err != nil:
	case s == nil:
		r, err = c.sqliteConn.ExecContext(ctx, query, args)
	default:
		r, err = s.ExecContext(ctx, args)
	}
	if l.On() {
		told(l, systemSQLite, nameOf(s, query), err)
	}
	return r, err
}

// nameOf is the name of a statement's spans, whether or not it is kept.
func nameOf(s *keptStmt, query string) string {
	if s != nil {
		return s.name
	}
	return summary(query)
}

// QueryContext implements driver.QueryerContext.
func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	l := telemetry.Begin(ctx)
	s, err := c.statement(ctx, query)
	var found driver.Rows
	switch {
	case err != nil:
	case s == nil:
		found, err = c.sqliteConn.QueryContext(ctx, query, args)
	default:
		found, err = s.QueryContext(ctx, args)
	}
	if l.On() && (err != nil || s == nil) {
		told(l, systemSQLite, nameOf(s, query), err)
	}
	if err != nil || s == nil {
		return found, err
	}
	rows, ok := found.(sqliteRows)
	if !ok {
		return nil, errors.Join(errors.New("SQLite's driver has rows of another kind"), found.Close())
	}
	s.busy = true
	return &keptRows{sqliteRows: rows, of: s, leaf: l}, nil
}

// Close implements driver.Conn.
func (c *keepingConn) Close() error {
	var errs []error
	for e := c.used.Front(); e != nil; e = e.Next() {
		errs = append(errs, element(e).Close())
	}
	c.used.Init()
	clear(c.kept)
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// keptRows are rows of a kept statement, which is free again when they are closed.
type keptRows struct {
	sqliteRows
	of   *keptStmt
	leaf telemetry.Leaf // ends when they are closed: SQLite looks for a row when it is asked for
}

// Close implements driver.Rows.
func (r *keptRows) Close() error {
	err := r.sqliteRows.Close()
	r.of.busy = false
	if r.leaf.On() {
		told(r.leaf, systemSQLite, r.of.name, err)
		r.leaf = telemetry.Leaf{}
	}
	return err
}
