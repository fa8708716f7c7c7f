package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Credentials are what someone who logs in says.
type Credentials struct {
	Email, Password string
	// Source is where the call comes from, an IP address; empty when it isn't known.
	Source string
}

// Grant is what a login or a refresh gives.
type Grant struct {
	CustomerID                    string
	AccessToken, RefreshToken     string
	AccessExpires, RefreshExpires time.Time
}

// Login opens a session. LOGIN_FAILED when the address has no account or the password is wrong, after the same work and the same time.
// TOO_MANY_ATTEMPTS when it was tried too often: the attempt is counted before the password is looked at.
//
// A registration that was not verified is no account: were it told apart, its maker would learn whether the address was free.
func (s *Service) Login(ctx context.Context, c Credentials) (Grant, error) {
	now, gate := s.time(), loginGate(Email(c.Email), c.Source)
	if err := s.enter(ctx, gate, now); err != nil {
		return Grant{}, err
	}
	a, err := s.store.AccountOf(ctx, Email(c.Email))
	if err != nil && !errors.Is(err, ErrNone) {
		return Grant{}, fmt.Errorf("log in: %w", err)
	}
	ok, outdated, err := s.passwords.Verify(ctx, c.Password, a.PasswordHash)
	if err != nil {
		return Grant{}, fmt.Errorf("log in: %w", err)
	}
	if !ok {
		return Grant{}, loginFailed()
	}
	better := a.PasswordHash
	if outdated {
		if better, err = s.passwords.Hash(ctx, c.Password); err != nil {
			return Grant{}, fmt.Errorf("log in: %w", err)
		}
	}
	return s.open(ctx, a, better, gate, now)
}

// open writes a session down, unless the account has changed since its password was looked at.
func (s *Service) open(ctx context.Context, seen Account, hash string, gate gate, now time.Time) (Grant, error) {
	id, err := s.id()
	if err != nil {
		return Grant{}, err
	}
	sign, err := s.tokens.Signer(ctx)
	if err != nil {
		return Grant{}, fmt.Errorf("log in: %w", err)
	}
	session := Session{ID: id, CustomerID: seen.ID, Created: now, Expires: now.Add(SessionTime)}
	var out Grant
	err = s.store.InTx(ctx, func(tx Tx) error {
		a, err := tx.Account(ctx, seen.ID)
		if err != nil {
			return err
		}
		if a.Gone() || a.PasswordHash != seen.PasswordHash { // a reset, an erasure, or another login that made the hash anew
			return problem.Aborted(ReasonChanged, "the account changed meanwhile; try again")
		}
		if a.PasswordHash != hash {
			a.PasswordHash = hash
			if err := tx.PutAccount(ctx, a); err != nil {
				return err
			}
		}
		if err := gate.passed(ctx, tx); err != nil {
			return err
		}
		if err := tx.AddSession(ctx, session, MaxSessions); err != nil {
			return err
		}
		out, err = grant(ctx, tx, a, session, now, sign)
		return err
	})
	if err != nil {
		return Grant{}, fmt.Errorf("log in: %w", err)
	}
	return out, nil
}
