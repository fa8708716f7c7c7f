package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// grant makes the next tokens of a session.
func grant(ctx context.Context, tx Tx, a Account, session Session, now time.Time, sign Sign) (Grant, error) {
	token, hash := newSecret()
	expires := now.Add(IdleTime)
	if session.Expires.Before(expires) {
		expires = session.Expires
	}
	if err := tx.AddRefreshToken(ctx, RefreshToken{TokenHash: hash, Session: session, Expires: expires}); err != nil {
		return Grant{}, err
	}
	var roles []string
	for _, r := range a.Roles() {
		roles = append(roles, string(r))
	}
	access, until, err := sign(a.ID, roles)
	if err != nil {
		return Grant{}, err
	}
	return Grant{CustomerID: a.ID, AccessToken: access, AccessExpires: until, RefreshToken: token, RefreshExpires: expires}, nil
}

// Refresh gives new tokens for a refresh token. SESSION_INVALID when it is unknown or too old. A token that was used before ends its
// session: two hold it, and one of them has stolen it, but nobody can say which (RFC 9700, 4.14.2). So does a client that asks again
// because an answer was lost: it has to log in.
func (s *Service) Refresh(ctx context.Context, token string) (Grant, error) {
	now := s.time()
	sign, err := s.tokens.Signer(ctx)
	if err != nil {
		return Grant{}, fmt.Errorf("refresh a session: %w", err)
	}
	var out Grant
	var ended *Session // for it was used twice
	err = s.store.InTx(ctx, func(tx Tx) error {
		out, ended = Grant{}, nil
		t, err := tx.RefreshToken(ctx, hashOf(token))
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		if !t.Used.IsZero() {
			ended = &t.Session
			return tx.DropSession(ctx, t.Session.ID)
		}
		if !now.Before(t.Expires) {
			return nil
		}
		if err := tx.UseRefreshToken(ctx, t.TokenHash, now); err != nil {
			return err
		}
		a, err := tx.Account(ctx, t.Session.CustomerID)
		if err != nil {
			return err
		}
		out, err = grant(ctx, tx, a, t.Session, now, sign)
		return err
	})
	switch {
	case err != nil:
		return Grant{}, fmt.Errorf("refresh a session: %w", err)
	case ended != nil:
		s.log.LogAttrs(ctx, slog.LevelWarn, "a refresh token was used twice; its session is ended",
			slog.String("session_id", ended.ID), slog.String("customer_id", ended.CustomerID))
		return Grant{}, sessionInvalid()
	case out.RefreshToken == "":
		return Grant{}, sessionInvalid()
	}
	return out, nil
}

// Logout ends the session of a refresh token, used or not; one that is unknown is no error.
func (s *Service) Logout(ctx context.Context, token string) error {
	err := s.store.InTx(ctx, func(tx Tx) error {
		t, err := tx.RefreshToken(ctx, hashOf(token))
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.DropSession(ctx, t.Session.ID)
	})
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}
