// Package lease lets the instances of a module share work: of those that want a named lease one has it, and the others wait.
//
// A lease is a row in the module's own database; the tables are in outbox.Schema. Each owner gets an epoch, higher than any before. An
// owner that was paused may not know that another took over: [Lease.Guard] in each of its transactions makes the database refuse them.
// No clock is compared with another machine's: a waiter takes a lease over when the owner's heartbeat has stood still for TTL on the
// waiter's own clock.
package lease

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrFenced says that another owner has the lease.
var ErrFenced = errors.New("the lease has another owner by now")

// Lease is a lease that was held when it was made.
type Lease struct {
	Name  string
	Owner string
	Epoch int64
}

// Guard fails with [ErrFenced] when the lease has another owner by now, and then tx must be rolled back: return the error from data.Tx's
// function. tx is serializable, as data.Tx's are: what it writes is then refused, or was before the other owner's time. A nil Lease guards
// nothing.
func (l *Lease) Guard(ctx context.Context, tx *sql.Tx) error {
	if l == nil {
		return nil
	}
	var epoch int64
	err := tx.QueryRowContext(ctx, `SELECT epoch FROM lease WHERE name = $1`, l.Name).Scan(&epoch)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && epoch != l.Epoch:
		return fmt.Errorf("%s, epoch %d: %w", l.Name, l.Epoch, ErrFenced)
	case err != nil:
		return fmt.Errorf("guard %s: %w", l.Name, err)
	}
	return nil
}
