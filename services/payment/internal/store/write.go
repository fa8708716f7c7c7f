package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/cleavehq/cleave/services/payment/internal/pay"
)

// write changes a payment from before to after, posts the change to the ledger under a name that is used once for a payment, and
// announces it unless only what was asked has changed. The condition is in the statement that changes the row: of two changes at
// once one is made, and the other transaction fails.
func (s *Store) write(ctx context.Context, tx *sql.Tx, before, after pay.Payment, name string) error {
	r, err := tx.ExecContext(ctx, `UPDATE payment SET state = $1, voiding = $2, asked = $3, provider_ref = $4, decline_code = $5,
		authorized = $6, captured = $7, refunded = $8, refunding = $9, due_at = $10, updated_at = $11
		WHERE id = $12 AND state = $13 AND voiding = $14 AND captured = $15 AND refunded = $16 AND refunding = $17`,
		string(after.State), flag(after.Voiding), string(after.Asked), after.ProviderRef, after.DeclineCode,
		after.Authorized, after.Captured, after.Refunded, after.Refunding, micros(pay.Due(after)), micros(after.UpdateTime),
		after.ID, string(before.State), flag(before.Voiding), before.Captured, before.Refunded, before.Refunding)
	if err != nil {
		return fmt.Errorf("change a payment: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("change payment %s: %d rows changed: %w", after.ID, n, err)
	}
	if err := post(ctx, tx, before, after, name); err != nil {
		return err
	}
	if before.State == after.State && before.Refunded == after.Refunded && before.Refunding == after.Refunding {
		return nil
	}
	return s.announce(ctx, tx, after)
}

// post writes what the ledger has to say. The two sides of a posting are one parameter of one statement: a transaction that doesn't sum
// to zero can't be written.
func post(ctx context.Context, tx *sql.Tx, before, after pay.Payment, name string) error {
	postings := pay.Postings(before, after)
	if len(postings) == 0 {
		return nil
	}
	args := []any{after.ID + ":" + name, after.Amount.Currency, after.ID, micros(after.UpdateTime)}
	var rows []string
	for _, p := range postings {
		n := len(args)
		rows = append(rows, fmt.Sprintf("($1, $%d, $2, $%d, 0, $3, $4), ($1, $%d, $2, 0, $%d, $3, $4)", n+1, n+3, n+2, n+3))
		args = append(args, string(p.Debit), string(p.Credit), p.Minor)
	}
	insert := "INSERT INTO ledger_entries (transaction_id, account, currency, debit, credit, payment_id, at) VALUES "
	_, err := tx.ExecContext(ctx, insert+strings.Join(rows, ", "), args...)
	if err != nil {
		return fmt.Errorf("post %s of payment %s: %w", name, after.ID, err)
	}
	return nil
}
