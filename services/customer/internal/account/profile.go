package account

import (
	"context"
	"errors"
	"fmt"
)

// Get returns an account: to the customer, to staff and to admins.
func (s *Service) Get(ctx context.Context, caller, id string) (Account, error) {
	if err := may(ctx, s.store, caller, id, Staff, Admin); err != nil {
		return Account{}, err
	}
	return living(ctx, s.store, id)
}

// Contact returns an account to another module.
func (s *Service) Contact(ctx context.Context, id string) (Account, error) {
	return living(ctx, s.store, id)
}

// Update changes an account by fn, which may change Name, Phone and Locale, and may be called again.
func (s *Service) Update(ctx context.Context, caller, id string, fn func(*Account) error) (Account, error) {
	return s.change(ctx, caller, id, nil, func(_ Tx, a *Account) error { return fn(a) })
}

// change changes an account by fn, when the caller may.
func (s *Service) change(ctx context.Context, caller, id string, roles []Role, fn func(tx Tx, a *Account) error) (Account, error) {
	var out Account
	err := s.store.InTx(ctx, func(tx Tx) error {
		if err := may(ctx, tx, caller, id, roles...); err != nil {
			return err
		}
		before, err := living(ctx, tx, id)
		if err != nil {
			return err
		}
		out = before
		if err := fn(tx, &out); err != nil || out == before {
			return err
		}
		out.Updated = s.time()
		return tx.PutAccount(ctx, out)
	})
	if err != nil {
		return Account{}, fmt.Errorf("change customer %s: %w", id, err)
	}
	return out, nil
}

// Erase empties an account for ever, and tells the other modules. Once more, it does nothing. For the customer and for admins.
//
// What remains is the id and three times: of its making, of its last change, of its end. The address is free for another account.
func (s *Service) Erase(ctx context.Context, caller, id string) error {
	now := s.time()
	err := s.store.InTx(ctx, func(tx Tx) error {
		if err := may(ctx, tx, caller, id, Admin); err != nil {
			return err
		}
		a, err := tx.Account(ctx, id)
		if errors.Is(err, ErrNone) {
			return notFound(id)
		}
		if err != nil || a.Gone() {
			return err
		}
		for _, drop := range []func(context.Context, string) error{tx.DropSessions, tx.DropResets, tx.DropAddresses, tx.Forget} {
			if err := drop(ctx, id); err != nil {
				return err
			}
		}
		if err := tx.DropRegistrations(ctx, a.Email); err != nil {
			return err
		}
		for _, g := range []gate{loginGate(a.Email, ""), mailGate("register", a.Email, ""), mailGate("reset", a.Email, "")} {
			if err := tx.DropAttempts(ctx, g.email); err != nil {
				return err
			}
		}
		if err := tx.PutAccount(ctx, Account{ID: id, Created: a.Created, Updated: now, Erased: now}); err != nil {
			return err
		}
		return tx.Publish(ctx, Erased{ID: id, At: now})
	})
	if err != nil {
		return fmt.Errorf("erase customer %s: %w", id, err)
	}
	return nil
}
