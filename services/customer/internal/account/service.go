package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config of a Service. All of it is needed.
type Config struct {
	Store     Store
	Passwords Passwords
	Tokens    Tokens
	Log       *slog.Logger
	Now       func() time.Time
	// NewID makes UUIDv7s.
	NewID func() (string, error)
}

// Service is what can be done with accounts. It is safe for concurrent use.
type Service struct {
	store     Store
	passwords Passwords
	tokens    Tokens
	log       *slog.Logger
	now       func() time.Time
	newID     func() (string, error)
}

// New makes a Service.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Passwords == nil || c.Tokens == nil || c.Log == nil || c.Now == nil || c.NewID == nil {
		return nil, errors.New("customer: Store, Passwords, Tokens, Log, Now and NewID are needed")
	}
	return &Service{store: c.Store, passwords: c.Passwords, tokens: c.Tokens, log: c.Log, now: c.Now, newID: c.NewID}, nil
}

// time is now, as exactly as it is kept.
func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func (s *Service) id() (string, error) {
	id, err := s.newID()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// Sweep deletes what has expired: registrations, resets, sessions, counts. To be called every minute or so, by any number of instances.
func (s *Service) Sweep(ctx context.Context) error { return s.store.Sweep(ctx, s.time()) }

// living reads an account that was not erased; CUSTOMER_NOT_FOUND otherwise.
func living(ctx context.Context, r Reader, id string) (Account, error) {
	a, err := r.Account(ctx, id)
	if errors.Is(err, ErrNone) || err == nil && a.Gone() {
		return Account{}, notFound(id)
	}
	return a, err
}
