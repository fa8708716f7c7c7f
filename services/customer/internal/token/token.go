// Package token makes the access tokens, and looks after the keys that they are signed with.
//
// A key has three times in its life. It is made and shown to everyone, so that verifiers have it before they need it; an hour later it
// begins to sign; it stops when its successor begins, and stays visible for another hour, longer than the last token that it signed lives.
// Instances that share a database share the keys.
package token

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Life of things.
const (
	// TTL of an access token.
	TTL = 15 * time.Minute
	// RotateEvery is how long a key signs.
	RotateEvery = 30 * 24 * time.Hour
	// Ahead is how long a key is visible before it signs.
	Ahead = time.Hour
	// Keep is how long a key is visible after it has signed last.
	Keep = time.Hour
	// MaxKeys is how many there are at most: an operator can't fill the set with RotateKeys.
	MaxKeys = 20
	// cacheTime is how long an instance signs on without a look at the database.
	cacheTime = 30 * time.Second
)

// Record is a key as it is kept.
type Record struct {
	ID string
	// Sealed is the private key, see seal.
	Sealed string
	Public ed25519.PublicKey
	// Created is when it was made, From when it begins to sign.
	Created, From time.Time
}

// Store keeps the keys.
type Store interface {
	// Keys returns all of them, the latest From first.
	Keys(ctx context.Context) ([]Record, error)
	// ChangeKeys adds and drops keys in one transaction with what fn was shown, which is what Keys returns. fn may be called again.
	ChangeKeys(ctx context.Context, fn func(all []Record) (add []Record, drop []string, err error)) error
}

// Config of an Issuer. All but Secret is needed.
type Config struct {
	Store Store
	// Issuer and Audience of the tokens.
	Issuer, Audience string
	// Secret seals the private keys in the database: 32 characters at least. When empty they lie there open: who reads the database can then
	// sign tokens.
	Secret string
	Now    func() time.Time
	// NewID makes UUIDv7s.
	NewID func() (string, error)
}

// Issuer makes tokens. It is safe for concurrent use.
type Issuer struct {
	c    Config
	seal sealer

	mu     sync.Mutex
	cached []signingKey // the latest From first
	until  time.Time
}

type signingKey struct {
	Record
	private ed25519.PrivateKey
}

// New makes an Issuer.
func New(c Config) (*Issuer, error) {
	if c.Store == nil || c.Issuer == "" || c.Audience == "" || c.Now == nil || c.NewID == nil {
		return nil, errors.New("token: Store, Issuer, Audience, Now and NewID are needed")
	}
	s, err := newSealer(c.Secret)
	if err != nil {
		return nil, err
	}
	return &Issuer{c: c, seal: s}, nil
}

// Sign makes a token for a subject with its roles.
type Sign func(subject string, roles []string) (token string, expires time.Time, err error)

// claims of an access token.
type claims struct {
	jwt.RegisteredClaims
	Roles []string `json:"roles"`
}

// Signer returns the function that signs with the key of this moment. Getting it may read the database, calling it doesn't.
func (i *Issuer) Signer(ctx context.Context) (Sign, error) {
	key, err := i.current(ctx)
	if err != nil {
		return nil, fmt.Errorf("get the signing key: %w", err)
	}
	return func(subject string, roles []string) (string, time.Time, error) {
		id, err := i.c.NewID()
		if err != nil {
			return "", time.Time{}, fmt.Errorf("make a token id: %w", err)
		}
		now := i.c.Now().UTC().Truncate(time.Second) // a JWT's times are whole seconds
		expires := now.Add(TTL)
		t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &claims{Roles: roles, RegisteredClaims: jwt.RegisteredClaims{
			Issuer: i.c.Issuer, Audience: jwt.ClaimStrings{i.c.Audience}, Subject: subject, ID: id,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		}})
		t.Header["kid"] = key.ID
		token, err := t.SignedString(key.private)
		if err != nil {
			return "", time.Time{}, fmt.Errorf("sign a token: %w", err)
		}
		return token, expires, nil
	}, nil
}

// current returns the key that signs now; the first one is made here.
func (i *Issuer) current(ctx context.Context) (signingKey, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.c.Now()
	if !now.Before(i.until) || i.until.Sub(now) > cacheTime { // the latter when the clock was set back
		if err := i.load(ctx); err != nil {
			return signingKey{}, err
		}
		i.until = now.Add(cacheTime)
	}
	for _, k := range i.cached {
		if !k.From.After(now) {
			return k, nil
		}
	}
	if len(i.cached) == 0 {
		i.until = time.Time{}
		return signingKey{}, errors.New("there is none")
	}
	return i.cached[len(i.cached)-1], nil // another instance, whose clock is ahead of ours, has just made the first one
}

// load reads the keys and opens them. i.mu is held.
func (i *Issuer) load(ctx context.Context) error {
	all, err := i.c.Store.Keys(ctx)
	if err == nil && len(all) == 0 {
		if err = i.Tend(ctx); err == nil {
			all, err = i.c.Store.Keys(ctx)
		}
	}
	if err != nil {
		return err
	}
	keys := make([]signingKey, len(all))
	for n, r := range all {
		keys[n].Record = r
		if keys[n].private, err = i.seal.open(r.ID, r.Sealed); err != nil {
			return fmt.Errorf("open the key %s: %w", r.ID, err)
		}
	}
	i.cached = keys
	return nil
}
