package account

import (
	"context"
	"errors"
	"fmt"
)

// NewCustomer is what someone who registers says.
type NewCustomer struct {
	Email, Password, Name, Locale string
	// Source is where the call comes from, an IP address; empty when it isn't known.
	Source string
}

// Register begins an account. For an address that has one already the same work is done, the same answer given, and nothing changed: the
// owner is told by mail.
//
// Each registration stands alone, with its own password and its own token, until one of the tokens comes back. Whoever registers another's
// address first gains nothing by it: the owner's own token makes an account with the owner's password, and the other's dies.
func (s *Service) Register(ctx context.Context, n NewCustomer) error {
	email, now := Email(n.Email), s.time()
	if err := checkPassword("password", n.Password, email); err != nil {
		return err
	}
	if err := s.enter(ctx, mailGate("register", email, n.Source), now); err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, n.Password)
	if err != nil {
		return fmt.Errorf("hash a password: %w", err)
	}
	id, err := s.id()
	if err != nil {
		return err
	}
	token, tokenHash := newSecret()
	r := Registration{
		TokenHash: tokenHash, ID: id, Email: email, Name: n.Name, Locale: n.Locale, PasswordHash: hash, Created: now, Expires: now.Add(VerifyTime),
	}
	err = s.store.InTx(ctx, func(tx Tx) error {
		there, err := tx.AccountOf(ctx, email)
		if err == nil {
			return tx.Publish(ctx, Repeated{Account: there, At: now})
		}
		if !errors.Is(err, ErrNone) {
			return err
		}
		if err := tx.AddRegistration(ctx, r); err != nil {
			return err
		}
		return tx.Publish(ctx, Registered{Registration: r, Token: token})
	})
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// Verify makes the account of a token. TOKEN_INVALID when the token is unknown, used or too old, or when the address has an account by now.
func (s *Service) Verify(ctx context.Context, token string) (Account, error) {
	var made Account
	var ok bool
	now := s.time()
	err := s.store.InTx(ctx, func(tx Tx) error {
		ok = false
		r, err := tx.TakeRegistration(ctx, hashOf(token))
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil || !now.Before(r.Expires) {
			return err
		}
		if _, err := tx.AccountOf(ctx, r.Email); !errors.Is(err, ErrNone) {
			return err
		}
		made = Account{
			ID: r.ID, Email: r.Email, Name: r.Name, Locale: r.Locale, PasswordHash: r.PasswordHash, Created: now, Updated: now,
		}
		ok = true
		if err := tx.AddAccount(ctx, made); err != nil {
			return err
		}
		return tx.DropRegistrations(ctx, r.Email)
	})
	switch {
	case err != nil:
		return Account{}, fmt.Errorf("verify an e-mail address: %w", err)
	case !ok:
		return Account{}, tokenInvalid()
	}
	return made, nil
}
