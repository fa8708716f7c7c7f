package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Addresses returns the addresses of a customer, the oldest first: to the customer, to staff and to admins.
func (s *Service) Addresses(ctx context.Context, caller, customerID string) ([]Address, error) {
	if _, err := s.Get(ctx, caller, customerID); err != nil {
		return nil, err
	}
	return s.store.Addresses(ctx, customerID)
}

// AddAddress adds one to a.CustomerID's. TOO_MANY_ADDRESSES when there are 50.
func (s *Service) AddAddress(ctx context.Context, caller string, a Address) (Address, error) {
	var err error
	if a.ID, err = s.id(); err != nil {
		return Address{}, err
	}
	a.Created = s.time()
	a.Updated = a.Created
	err = s.inAccount(ctx, caller, a.CustomerID, func(tx Tx) error {
		there, err := tx.Addresses(ctx, a.CustomerID)
		if err != nil {
			return err
		}
		if len(there) >= MaxAddresses {
			return problem.FailedPrecondition(ReasonTooManyAddresses, "a customer has %d addresses at most", MaxAddresses)
		}
		return tx.AddAddress(ctx, a)
	})
	if err != nil {
		return Address{}, fmt.Errorf("add an address: %w", err)
	}
	return a, nil
}

// UpdateAddress changes one by fn, which may be called again.
func (s *Service) UpdateAddress(ctx context.Context, caller, customerID, id string, fn func(*Address) error) (Address, error) {
	var out Address
	err := s.inAccount(ctx, caller, customerID, func(tx Tx) error {
		before, err := tx.Address(ctx, customerID, id)
		if errors.Is(err, ErrNone) {
			return problem.NotFound(ReasonAddressNotFound, "the customer has no address with the id %s", id)
		}
		if err != nil {
			return err
		}
		out = before
		if err := fn(&out); err != nil || out == before {
			return err
		}
		out.Updated = s.time()
		return tx.PutAddress(ctx, out)
	})
	if err != nil {
		return Address{}, fmt.Errorf("change an address: %w", err)
	}
	return out, nil
}

// DropAddress takes one away; one that isn't there is no error.
func (s *Service) DropAddress(ctx context.Context, caller, customerID, id string) error {
	err := s.inAccount(ctx, caller, customerID, func(tx Tx) error { return tx.DropAddress(ctx, customerID, id) })
	if err != nil {
		return fmt.Errorf("delete an address: %w", err)
	}
	return nil
}

// inAccount runs fn when the account is the caller's own and there.
func (s *Service) inAccount(ctx context.Context, caller, customerID string, fn func(tx Tx) error) error {
	return s.store.InTx(ctx, func(tx Tx) error {
		if err := may(ctx, tx, caller, customerID); err != nil {
			return err
		}
		if _, err := living(ctx, tx, customerID); err != nil {
			return err
		}
		return fn(tx)
	})
}
