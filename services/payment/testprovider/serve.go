package testprovider

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// serve does one call in a transaction, and fails as the behaviour that find finds says. What do answers, an error of package provider or
// none, is an outcome, and kept.
func (p *Provider) serve(ctx context.Context, c call, key string, find func(*sql.Tx) (behaviour, error), do func(*sql.Tx, behaviour) error) error {
	var outcome error
	var happens fault
	var wait time.Duration
	err := data.Tx(ctx, p.db, func(tx *sql.Tx) error {
		outcome, happens = nil, none
		b, err := find(tx)
		if err != nil {
			outcome = known(err)
			return unless(outcome, err)
		}
		if b.call == c {
			if happens, err = p.fails(ctx, tx, b, key); err != nil {
				return err
			}
			wait = time.Duration(b.n) * time.Millisecond
		}
		if happens == unavailable {
			outcome = provider.ErrUnavailable
			return nil
		}
		err = do(tx, b)
		outcome = known(err)
		return unless(outcome, err)
	})
	if err != nil {
		return err
	}
	switch happens {
	case timeout:
		return fmt.Errorf("test provider: the answer was lost: %w", context.DeadlineExceeded)
	case hang:
		<-ctx.Done()
		return fmt.Errorf("test provider: no answer came: %w", ctx.Err())
	case slow:
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return fmt.Errorf("test provider: the answer was late: %w", ctx.Err())
		case <-t.C:
		}
	case none, unavailable:
	}
	return outcome
}

// fails says how this call fails, and counts it.
func (p *Provider) fails(ctx context.Context, tx *sql.Tx, b behaviour, key string) (fault, error) {
	if b.fault == slow {
		return slow, nil
	}
	var times int
	err := tx.QueryRowContext(ctx, `INSERT INTO failure (call, key, times) VALUES ($1, $2, 1)
		ON CONFLICT (call, key) DO UPDATE SET times = failure.times + 1 RETURNING times`, string(b.call), key).Scan(&times)
	if err != nil || times > b.n {
		return none, err
	}
	return b.fault, nil
}

// known is err when it is one that the provider answers with.
func known(err error) error {
	var no *provider.Decline
	if errors.As(err, &no) || errors.Is(err, provider.ErrUnknownRef) || errors.Is(err, provider.ErrKeyReused) ||
		errors.Is(err, provider.ErrVoided) || errors.Is(err, provider.ErrCaptured) {
		return err
	}
	return nil
}

// unless is nil when there is an outcome to keep.
func unless(outcome, err error) error {
	if outcome == nil {
		return err
	}
	return nil
}

// byRef finds the behaviour of a hold. A declined one is no hold.
func (p *Provider) byRef(ctx context.Context, ref string) func(*sql.Tx) (behaviour, error) {
	return func(tx *sql.Tx) (behaviour, error) {
		c, ok, err := p.charge(ctx, tx, "ref", ref)
		if err == nil && (!ok || c.State == provider.Declined) {
			err = provider.ErrUnknownRef
		}
		return behave(c.behaviour), err
	}
}
