package authn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// The algorithms that a key may be for (RFC 7518, RFC 8037).
const (
	EdDSA = "EdDSA" // over Ed25519
	ES256 = "ES256" // over P-256
	RS256 = "RS256" // of 2,048 to 8,192 bits
)

// Key is a public key, and the name that tokens call it by.
type Key struct {
	ID string
	// Public is an ed25519.PublicKey, an *ecdsa.PublicKey or an *rsa.PublicKey. The algorithm is the key's own, whatever a token says.
	Public crypto.PublicKey
}

// Algorithm is the one that the key is for; empty when it is no key that tokens may be signed with.
func (k Key) Algorithm() string {
	switch p := k.Public.(type) {
	case ed25519.PublicKey:
		if len(p) == ed25519.PublicKeySize {
			return EdDSA
		}
	case *ecdsa.PublicKey:
		if p != nil && p.Curve == elliptic.P256() {
			return ES256
		}
	case *rsa.PublicKey:
		if p != nil && p.N.BitLen() >= minRSA && p.N.BitLen() <= maxRSA && p.E > 1 {
			return RS256
		}
	}
	return ""
}

// KeySource is where the keys come from. It returns all that tokens may be signed with at this moment. It is asked by one goroutine at a
// time, seldom, and must end with ctx.
type KeySource interface {
	Keys(ctx context.Context) ([]Key, error)
}

// KeySourceFunc is a function that is a KeySource: a call of another service, say.
type KeySourceFunc func(ctx context.Context) ([]Key, error)

// Keys implements KeySource.
func (f KeySourceFunc) Keys(ctx context.Context) ([]Key, error) { return f(ctx) }

// Static is a KeySource of keys that never change.
func Static(keys ...Key) KeySource {
	return KeySourceFunc(func(context.Context) ([]Key, error) { return keys, nil })
}

const (
	minRSA, maxRSA = 2048, 8192 // bits

	maxKeys      = 100
	questionTime = 5 * time.Second
)

var (
	errSource  = errors.New("the keys can't be had")
	errUnknown = errors.New("no key has the token's kid")
)

// ring keeps the keys of a source.
type ring struct {
	source                     KeySource
	maxAge, maxStale, interval time.Duration
	now                        func() time.Time
	flight                     singleflight.Group

	mu    sync.Mutex
	keys  map[string]Key
	good  time.Time // when keys was had
	tried time.Time // when it was last asked for
	err   error     // what came of that
}

func newRing(c Config) *ring {
	or := func(d, otherwise time.Duration) time.Duration {
		if d <= 0 {
			return otherwise
		}
		return d
	}
	return &ring{
		source: c.Keys, now: c.Now,
		maxAge: or(c.MaxAge, 10*time.Minute), maxStale: or(c.MaxStale, 24*time.Hour), interval: or(c.Interval, 5*time.Second),
	}
}

// get returns a key. One that is kept is returned at once, and when it is old the source is asked meanwhile; one that isn't is waited for.
func (r *ring) get(ctx context.Context, kid string) (Key, error) {
	key, old, may := r.look(kid)
	if key.ID != "" && (!old || !may) {
		return key, nil
	}
	if key.ID == "" && !may {
		return Key{}, r.missing()
	}
	done := r.flight.DoChan("", func() (any, error) { return nil, r.ask(context.WithoutCancel(ctx)) })
	if key.ID != "" {
		return key, nil
	}
	select {
	case <-ctx.Done():
		return Key{}, fmt.Errorf("%w: %w", errSource, ctx.Err())
	case <-done:
	}
	if key, _, _ = r.look(kid); key.ID != "" {
		return key, nil
	}
	return Key{}, r.missing()
}

// look returns a key that is kept and still believed, whether it is old, and whether the source may be asked.
func (r *ring) look(kid string) (key Key, old, may bool) {
	now := r.now()
	may = !r.quiet(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.good); age < r.maxStale {
		key, old = r.keys[kid], age >= r.maxAge
	}
	return key, old, may
}

// quiet reports whether the source was asked so shortly before now that it must not be asked again.
func (r *ring) quiet(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.tried.IsZero() && now.Sub(r.tried) < r.interval
}

// missing says why there is no key: nobody has it, or the source didn't answer.
func (r *ring) missing() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return fmt.Errorf("%w: %w", errSource, r.err)
	}
	return errUnknown
}

// ask replaces the keys by what the source says now, as a whole. Keys that are no use spoil the answer: nothing of it is taken.
func (r *ring) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	at := r.now()
	if r.quiet(at) { // someone looked before the last answer came, and asks after it
		return nil
	}
	list, err := r.source.Keys(ctx)
	var keys map[string]Key
	if err == nil {
		keys, err = index(list)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried, r.err = at, err
	if err == nil {
		r.keys, r.good = keys, at
	}
	return err
}

func index(list []Key) (map[string]Key, error) {
	if len(list) == 0 || len(list) > maxKeys {
		return nil, fmt.Errorf("the source has %d keys", len(list))
	}
	keys := make(map[string]Key, len(list))
	for _, k := range list {
		if _, twice := keys[k.ID]; k.ID == "" || k.Algorithm() == "" || twice {
			return nil, fmt.Errorf("the source's key %q is no key, or is there twice", k.ID)
		}
		keys[k.ID] = k
	}
	return keys, nil
}
