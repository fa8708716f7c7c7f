package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Grant gives a customer a role. For admins.
func (s *Service) Grant(ctx context.Context, caller, id string, r Role) (Account, error) {
	return s.role(ctx, caller, id, r, true)
}

// Revoke takes a role away and ends the customer's sessions, so that no new token has it. For admins.
func (s *Service) Revoke(ctx context.Context, caller, id string, r Role) (Account, error) {
	return s.role(ctx, caller, id, r, false)
}

func (s *Service) role(ctx context.Context, caller, id string, r Role, has bool) (Account, error) {
	return s.change(ctx, caller, id, []Role{Admin}, func(tx Tx, a *Account) error {
		// change lets the customer itself through, too.
		if err := mustHave(ctx, tx, caller, Admin); err != nil {
			return err
		}
		before := *a
		*a = a.with(r, has)
		if has || *a == before {
			return nil
		}
		return tx.DropSessions(ctx, id)
	})
}

// Appoint makes the account of an address an admin: for an operator, who has no account.
func (s *Service) Appoint(ctx context.Context, address string) (Account, error) {
	var out Account
	err := s.store.InTx(ctx, func(tx Tx) error {
		a, err := tx.AccountOf(ctx, Email(address))
		if errors.Is(err, ErrNone) {
			return problem.NotFound(ReasonNotFound, "no customer has this e-mail address")
		}
		if out = a.with(Admin, true); err != nil || out == a {
			return err
		}
		out.Updated = s.time()
		return tx.PutAccount(ctx, out)
	})
	if err != nil {
		return Account{}, fmt.Errorf("appoint an admin: %w", err)
	}
	return out, nil
}
