package account

import (
	"context"
	"errors"
	"time"
)

// ErrNone says that a row isn't there.
var ErrNone = errors.New("there is none")

// Store keeps everything.
type Store interface {
	Reader
	// InTx runs fn in a serializable transaction, that is committed when fn returns nil. fn may be run again, when the transaction lost
	// against another one: it sets what it returns anew each time.
	InTx(ctx context.Context, fn func(tx Tx) error) error
	// Sweep deletes what has expired at a time.
	Sweep(ctx context.Context, at time.Time) error
}

// Reader reads what is there. What isn't is ErrNone.
type Reader interface {
	Account(ctx context.Context, id string) (Account, error)
	AccountOf(ctx context.Context, email string) (Account, error)
	// Addresses returns all of a customer, the oldest first.
	Addresses(ctx context.Context, customerID string) ([]Address, error)
	Reset(ctx context.Context, tokenHash string) (Reset, error)
}

// Tx is one transaction.
type Tx interface {
	Reader
	accounts
	tokens
	sessions
	addresses
	counts
	// Forget deletes the answers that are kept for a customer who asks twice.
	Forget(ctx context.Context, customerID string) error
	// Publish tells the other modules, when the transaction commits.
	Publish(ctx context.Context, e Event) error
}

type accounts interface {
	AddAccount(ctx context.Context, a Account) error
	// PutAccount writes all of an account that is there.
	PutAccount(ctx context.Context, a Account) error
}

type tokens interface {
	AddRegistration(ctx context.Context, r Registration) error
	// TakeRegistration deletes and returns one.
	TakeRegistration(ctx context.Context, tokenHash string) (Registration, error)
	DropRegistrations(ctx context.Context, email string) error
	AddReset(ctx context.Context, r Reset) error
	DropResets(ctx context.Context, customerID string) error
}

type sessions interface {
	// AddSession also ends the customer's oldest sessions, so that keep are left.
	AddSession(ctx context.Context, s Session, keep int) error
	RefreshToken(ctx context.Context, tokenHash string) (RefreshToken, error)
	AddRefreshToken(ctx context.Context, t RefreshToken) error
	// UseRefreshToken marks one as used.
	UseRefreshToken(ctx context.Context, tokenHash string, at time.Time) error
	// DropSession ends a session: none of its tokens is known any more.
	DropSession(ctx context.Context, id string) error
	DropSessions(ctx context.Context, customerID string) error
}

type addresses interface {
	Address(ctx context.Context, customerID, id string) (Address, error)
	AddAddress(ctx context.Context, a Address) error
	PutAddress(ctx context.Context, a Address) error
	DropAddress(ctx context.Context, customerID, id string) error
	DropAddresses(ctx context.Context, customerID string) error
}

type counts interface {
	// Attempts returns what was counted under a key; nothing is the zero value.
	Attempts(ctx context.Context, key string) (Attempts, error)
	PutAttempts(ctx context.Context, key string, a Attempts) error
	DropAttempts(ctx context.Context, key string) error
}

// Passwords hashes passwords, and bounds how many at once.
type Passwords interface {
	Hash(ctx context.Context, password string) (string, error)
	// Verify takes as long for an empty hash, which nothing matches, as for another.
	Verify(ctx context.Context, password, hash string) (ok, outdated bool, err error)
}

// Tokens makes access tokens.
type Tokens interface {
	// Signer returns a function that reads no database.
	Signer(ctx context.Context) (Sign, error)
}

// Sign makes an access token.
type Sign func(subject string, roles []string) (token string, expires time.Time, err error)
