// Package verifytest tests the laws of a module: that they hold of good data on both engines, and that each is told when it is broken.
package verifytest

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/verify"
)

// Suite is a module's laws, and how to break each.
type Suite struct {
	Module     string
	Migrations fs.FS
	Checks     []verify.Check
	// Good is SQL that makes data of which every law holds. It should have a row in each table that a law looks at.
	Good string
	// Break has, for each check, statements each of which alone breaks it. The tables' own constraints are gone when they run, and so are
	// their defaults: an INSERT names every column.
	Break map[string][]string
}

// Run runs the suite. A check that nothing breaks fails it: one that can't be broken says nothing.
func Run(t *testing.T, s Suite) {
	t.Helper()
	chassis := []data.Schema{outbox.Schema(), idempotency.Schema()}
	t.Run("good", func(t *testing.T) {
		datatest.Each(t, s.Module, s.Migrations, func(t *testing.T, db *sql.DB) {
			exec(t, db, s.Good)
			for _, r := range results(t, s, db) {
				if r.Broken != 0 {
					t.Errorf("%s is broken by good data: %q", r.Check, r.Cases)
				}
			}
		}, chassis...)
	})
	for _, c := range s.Checks {
		if len(s.Break[c.Name]) == 0 {
			t.Errorf("nothing breaks %s", c.Name)
		}
		if c.Law == "" || strings.HasSuffix(c.Law, ".") {
			t.Errorf("the law of %s is %q", c.Name, c.Law)
		}
	}
	template := loose(t, s, chassis)
	for _, name := range slices.Sorted(maps.Keys(s.Break)) {
		if !slices.ContainsFunc(s.Checks, func(c verify.Check) bool { return c.Name == name }) {
			t.Errorf("there is no check %s", name)
		}
		for i, query := range s.Break[name] {
			t.Run(fmt.Sprintf("%s/%d", name, i+1), func(t *testing.T) {
				db := again(t, s, template)
				exec(t, db, query)
				told := false
				for _, r := range results(t, s, db) {
					told = told || r.Check == s.Module+"."+name && r.Broken > 0
				}
				if !told {
					t.Errorf("it isn't told after %s", query)
				}
			})
		}
	}
}

// loose makes a file with the good data and without constraints, and returns its folder.
func loose(t *testing.T, s Suite, chassis []data.Schema) string {
	t.Helper()
	dir := t.TempDir()
	db, err := data.Open(t.Context(), data.Config{Dir: dir, Module: s.Module, Migrations: s.Migrations, Schemas: chassis})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, s.Good)
	unbind(t, db)
	if err := db.Close(); err != nil { // and the log is in the file
		t.Fatal(err)
	}
	return dir
}

// again opens a copy of a file that loose made.
func again(t *testing.T, s Suite, template string) *sql.DB {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
		t.Fatal(err)
	}
	db, err := data.Open(t.Context(), data.Config{Dir: dir, Module: s.Module})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func results(t *testing.T, s Suite, db *sql.DB) []verify.Result {
	t.Helper()
	out, err := verify.Run(t.Context(), verify.Config{Modules: []verify.Module{{Name: s.Module, DB: db, Checks: s.Checks}}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func exec(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	for part := range strings.SplitSeq(query, ";\n") { // PostgreSQL's driver takes one statement at a time
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if _, err := db.ExecContext(t.Context(), part); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
	}
}

// unbind replaces every table by a copy without constraints, so that data can be what no statement of the module could make it.
func unbind(t *testing.T, db *sql.DB) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	run := func(query string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	run("PRAGMA foreign_keys = OFF")
	for _, table := range tables(t, conn) {
		run("CREATE TABLE unbound AS SELECT * FROM " + table)
		run("DROP TABLE " + table)
		run("ALTER TABLE unbound RENAME TO " + table)
	}
}

func tables(t *testing.T, conn *sql.Conn) (out []string) {
	t.Helper()
	rows, err := conn.QueryContext(context.WithoutCancel(t.Context()), "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
