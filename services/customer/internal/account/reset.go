package account

import (
	"context"
	"errors"
	"fmt"
)

// RequestReset mails a reset token to an address that has an account. For one that has none a row is written too, that nothing can be done
// with: the answer and the work are the same. Earlier tokens stay good, so that nobody can spoil a link that is on its way.
func (s *Service) RequestReset(ctx context.Context, address, source string) error {
	email, now := Email(address), s.time()
	if err := s.enter(ctx, mailGate("reset", email, source), now); err != nil {
		return err
	}
	token, hash := newSecret()
	err := s.store.InTx(ctx, func(tx Tx) error {
		a, err := tx.AccountOf(ctx, email)
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		r := Reset{TokenHash: hash, CustomerID: a.ID, Expires: now.Add(ResetTime)}
		if err := tx.AddReset(ctx, r); err != nil || a.ID == "" {
			return err
		}
		return tx.Publish(ctx, ResetRequested{Account: a, At: now, Token: token, Expires: r.Expires})
	})
	if err != nil {
		return fmt.Errorf("request a password reset: %w", err)
	}
	return nil
}

// ResetPassword sets a new password, ends every session and every other reset, and forgets failed logins. TOKEN_INVALID when the token is
// unknown, used or too old.
func (s *Service) ResetPassword(ctx context.Context, token, password string) error {
	now := s.time()
	r, a, err := s.reset(ctx, s.store, token) // before the hashing, which is dear
	if err != nil {
		return fmt.Errorf("reset a password: %w", err)
	}
	if err := checkPassword("new_password", password, a.Email); err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, password)
	if err != nil {
		return fmt.Errorf("reset a password: %w", err)
	}
	err = s.store.InTx(ctx, func(tx Tx) error {
		if _, a, err = s.reset(ctx, tx, token); err != nil { // again: it may have been used meanwhile
			return err
		}
		a.PasswordHash, a.Updated = hash, now
		if err := tx.PutAccount(ctx, a); err != nil {
			return err
		}
		if err := tx.DropResets(ctx, r.CustomerID); err != nil {
			return err
		}
		if err := tx.DropSessions(ctx, r.CustomerID); err != nil {
			return err
		}
		return tx.DropAttempts(ctx, loginGate(a.Email, "").email)
	})
	if err != nil {
		return fmt.Errorf("reset a password: %w", err)
	}
	return nil
}

// reset finds what a reset token is for.
func (s *Service) reset(ctx context.Context, from Reader, token string) (Reset, Account, error) {
	r, err := from.Reset(ctx, hashOf(token))
	if errors.Is(err, ErrNone) || err == nil && (r.CustomerID == "" || !s.now().Before(r.Expires)) {
		return Reset{}, Account{}, tokenInvalid()
	}
	if err != nil {
		return Reset{}, Account{}, err
	}
	a, err := from.Account(ctx, r.CustomerID)
	if err == nil && a.Gone() {
		err = tokenInvalid()
	}
	return r, a, err
}
