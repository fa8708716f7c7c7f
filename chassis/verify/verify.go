// Package verify reads the databases of modules and says which of their laws don't hold. A law is a query for what breaks it: a module
// has its own in its package, and those between modules stand where all of them are known. Nothing is written, and nobody is stopped from
// writing: each round sees every database as of one moment, all within a few milliseconds of each other.
//
// A system that is at work has things under way: an event that isn't published yet, an order whose stock isn't let go yet. So what is broken
// is looked at again until it holds, or until the time for that is over.
package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
)

// Check is a law of one module's data.
type Check struct {
	// Name of the check: "stock_in_bounds".
	Name string
	// Law is what should hold, in a sentence without an end: "0 <= reserved <= on_hand for every SKU".
	Law string
	// SQL finds what breaks the law: each row is one case, and its columns say which. They hold no personal data and no secret. It is one
	// text for SQLite and PostgreSQL. $1 is the time of the look in microseconds since 1970, if it is used.
	SQL string
}

// Across is a law between modules.
type Across struct {
	// Name and Law as in Check.
	Name, Law string
	// Modules are those whose data it needs. Where one has no database, it isn't checked.
	Modules []string
	// Find calls report for each case that breaks the law. An error means that it could not look.
	Find func(ctx context.Context, v View, report Report) error
}

// View is the modules' data as of one moment, by the module's name.
type View map[string]*sql.Tx

// Report takes what a broken law is about: "order 7: cancelled, and 2 of MUG are reserved".
type Report func(format string, args ...any)

// Module is a module's database, opened by data.OpenReader, and its laws.
type Module struct {
	Name   string
	DB     *sql.DB
	Checks []Check
}

// Config says what to look at.
type Config struct {
	Modules []Module
	Across  []Across
	// Wait is how long a law may be broken before it counts. Every is the time from one look to the next, 250 ms when 0.
	Wait, Every time.Duration
	// Show is how many cases of one broken law are told, 20 when 0. All are counted.
	Show int
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Result is one law, and what breaks it.
type Result struct {
	Check string `json:"check"` // with its module: "inventory.stock_in_bounds"
	Law   string `json:"law"`
	// Broken counts the cases, Cases tells the first of them.
	Broken int      `json:"broken"`
	Cases  []string `json:"cases,omitempty"`
}

// Run checks every law. It returns a result for each, the broken ones too; the error says that it could not look.
func Run(ctx context.Context, c Config) ([]Result, error) {
	if c.Every <= 0 {
		c.Every = 250 * time.Millisecond
	}
	if c.Show <= 0 {
		c.Show = 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	deadline := time.NewTimer(c.Wait)
	defer deadline.Stop()
	again := time.NewTicker(c.Every)
	defer again.Stop()
	for {
		results, err := c.look(ctx)
		if err != nil || Broken(results) == 0 {
			return results, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return results, nil
		case <-again.C:
		}
	}
}

// Broken counts the laws that don't hold.
func Broken(results []Result) int {
	n := 0
	for _, r := range results {
		if r.Broken > 0 {
			n++
		}
	}
	return n
}

// look checks every law once.
func (c Config) look(ctx context.Context) (out []Result, err error) {
	view := View{}
	defer func() {
		for _, tx := range view {
			_ = tx.Rollback() // it wrote nothing
		}
	}()
	for _, m := range c.Modules {
		if view[m.Name], err = data.Snapshot(ctx, m.DB); err != nil {
			delete(view, m.Name)
			return nil, fmt.Errorf("read the database of %s: %w", m.Name, err)
		}
	}
	for _, m := range c.Modules {
		for _, check := range m.Checks {
			r := Result{Check: m.Name + "." + check.Name, Law: check.Law}
			if err := check.find(ctx, view[m.Name], c.Now(), c.report(&r)); err != nil {
				return nil, fmt.Errorf("check %s: %w", r.Check, err)
			}
			out = append(out, r)
		}
	}
	for _, a := range c.Across {
		if slices.ContainsFunc(a.Modules, func(m string) bool { return view[m] == nil }) {
			continue
		}
		r := Result{Check: a.Name, Law: a.Law}
		if err := a.Find(ctx, view, c.report(&r)); err != nil {
			return nil, fmt.Errorf("check %s: %w", r.Check, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func (c Config) report(r *Result) Report {
	return func(format string, args ...any) {
		r.Broken++
		if len(r.Cases) < c.Show {
			r.Cases = append(r.Cases, fmt.Sprintf(format, args...))
		}
	}
}

func (c Check) find(ctx context.Context, tx *sql.Tx, now time.Time, report Report) (err error) {
	var args []any
	if strings.Contains(c.SQL, "$1") {
		args = append(args, now.UnixMicro())
	}
	rows, err := tx.QueryContext(ctx, c.SQL, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		report("%s", row(names, values))
	}
	return rows.Err()
}

// row writes the columns of a case: "sku=MUG on_hand=1 reserved=2".
func row(names []string, values []any) string {
	parts := make([]string, len(names))
	for i, v := range values {
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		parts[i] = fmt.Sprintf("%s=%v", names[i], v)
	}
	return strings.Join(parts, " ")
}
