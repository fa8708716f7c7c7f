package idempotency

import (
	"context"
	"database/sql"
	"fmt"
)

// Forget deletes what is kept of a subject's commands, in a transaction of the module's own: for a person who is to be forgotten, since an
// answer may be about them. The methods are those of Config, the subject is what Config.Subject said. A command of theirs that runs at this
// moment may still leave its answer, until it expires.
func Forget(ctx context.Context, tx *sql.Tx, subject string, methods ...string) error {
	for _, m := range methods {
		if _, err := tx.ExecContext(ctx, "DELETE FROM idempotency_keys WHERE scope = $1", scope(m, subject)); err != nil {
			return fmt.Errorf("forget the keys of a subject: %w", err)
		}
	}
	return nil
}

// scope keeps the keys of a method, and of those who call it, apart.
func scope(method, subject string) string { return method + " " + subject }
