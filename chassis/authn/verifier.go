package authn

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Reasons of the errors that a Verifier makes.
const (
	// ReasonTokenMissing: UNAUTHENTICATED, there is no bearer token.
	ReasonTokenMissing = "TOKEN_MISSING"
	// ReasonTokenInvalid: UNAUTHENTICATED, and another try with the same token is no use.
	ReasonTokenInvalid = "TOKEN_INVALID"
	// ReasonTokenExpired: UNAUTHENTICATED, and a fresh token is needed.
	ReasonTokenExpired = "TOKEN_EXPIRED"
	// ReasonKeysUnavailable: UNAVAILABLE, the token may be right, but its key can't be had now.
	ReasonKeysUnavailable = "KEYS_UNAVAILABLE"
)

// MaxToken is how many bytes a token has at most.
const MaxToken = 8 << 10

const (
	maxName  = 255 // characters of sub, jti, kid and of one role
	maxRoles = 100
)

// Config of a Verifier.
type Config struct {
	// Issuer and Audience that a token must have. Both are needed.
	Issuer, Audience string
	// Keys is where public keys come from.
	Keys KeySource
	// Algorithms that are taken, of EdDSA, ES256 and RS256; EdDSA alone when empty.
	Algorithms []string
	// Leeway between the clocks of who signs and who verifies, 30 s when 0; none when negative.
	Leeway time.Duration
	// MaxAge, MaxStale and Interval of the kept keys; see the package comment for what they are when 0.
	MaxAge, MaxStale, Interval time.Duration
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Verifier verifies tokens. It is safe for concurrent use and has nothing to close.
type Verifier struct {
	parser *jwt.Parser
	ring   *ring
}

// New makes a Verifier. It asks for no key yet.
func New(c Config) (*Verifier, error) {
	if c.Issuer == "" || c.Audience == "" || c.Keys == nil {
		return nil, errors.New("authn: Issuer, Audience and Keys are needed")
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{EdDSA}
	}
	for _, a := range c.Algorithms {
		if a != EdDSA && a != ES256 && a != RS256 {
			return nil, fmt.Errorf("authn: the algorithm %q is none of %s, %s, %s", a, EdDSA, ES256, RS256)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Leeway == 0 {
		c.Leeway = 30 * time.Second
	}
	return &Verifier{
		parser: jwt.NewParser(
			jwt.WithValidMethods(slices.Clone(c.Algorithms)), jwt.WithIssuer(c.Issuer), jwt.WithAudience(c.Audience),
			jwt.WithLeeway(max(c.Leeway, 0)), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(c.Now), jwt.WithStrictDecoding(),
		),
		ring: newRing(c),
	}, nil
}

// claims of a token, beside the registered ones.
type claims struct {
	jwt.RegisteredClaims
	Roles []string `json:"roles"`
	Scope string   `json:"scope"` // RFC 8693, 4.2: names with a space between

	Tenant string `json:"tenant"`
}

// Validate implements jwt.ClaimsValidator: what the library takes for optional.
func (c *claims) Validate() error {
	if c.Subject == "" || c.ID == "" || c.IssuedAt == nil || len(c.Subject) > maxName || len(c.ID) > maxName || len(c.Tenant) > maxName ||
		len(c.Roles) > maxRoles {
		return errors.New("sub, jti or iat is missing, or something is too long")
	}
	for _, r := range c.Roles {
		if r == "" || len(r) > maxName {
			return errors.New("a role is empty or too long")
		}
	}
	if len(strings.Fields(c.Scope)) > maxRoles {
		return errors.New("there are too many scopes")
	}
	return nil
}

// Verify returns who a token speaks for. Its errors are problems, and hold nothing of the token: UNAUTHENTICATED with TOKEN_MISSING,
// TOKEN_EXPIRED or TOKEN_INVALID, or UNAVAILABLE with KEYS_UNAVAILABLE. ctx bounds the wait for a key.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if token == "" {
		return Identity{}, problem.Unauthenticated(ReasonTokenMissing, "an access token is needed")
	}
	if len(token) > MaxToken {
		return Identity{}, invalid(fmt.Errorf("the token has %d bytes", len(token)))
	}
	var c claims
	var kid string
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		key, err := v.key(ctx, t)
		kid, _ = t.Header["kid"].(string)
		return key, err
	})
	switch {
	case err == nil:
	case errors.Is(err, errSource):
		return Identity{}, problem.Unavailable(ReasonKeysUnavailable, "the key of the access token can't be had now").Because(err)
	case errors.Is(err, jwt.ErrTokenExpired):
		return Identity{}, problem.Unauthenticated(ReasonTokenExpired, "the access token has expired")
	default:
		return Identity{}, invalid(err)
	}
	return Identity{
		Kind: KindToken, Issuer: c.Issuer, Subject: c.Subject, Roles: c.Roles, Scopes: strings.Fields(c.Scope), Tenant: c.Tenant, TokenID: c.ID, KeyID: kid,
		IssuedAt: c.IssuedAt.Time, ExpiresAt: c.ExpiresAt.Time,
	}, nil
}

// key finds the key that the token's header names. A token that wants another algorithm than its key's is refused, whatever it is: a public key
// is never a secret (RFC 8725, 2.1).
func (v *Verifier) key(ctx context.Context, t *jwt.Token) (crypto.PublicKey, error) {
	if _, ok := t.Header["crit"]; ok { // RFC 7515, 4.1.11: what must be understood, and isn't
		return nil, errors.New("the header has crit")
	}
	kid, ok := t.Header["kid"].(string)
	if !ok || kid == "" || len(kid) > maxName {
		return nil, errors.New("the header has no kid")
	}
	k, err := v.ring.get(ctx, kid)
	if err != nil {
		return nil, err
	}
	if k.Algorithm() != t.Method.Alg() {
		return nil, fmt.Errorf("the key is for %s, not for %s", k.Algorithm(), t.Method.Alg())
	}
	return k.Public, nil
}

func invalid(err error) error {
	return problem.Unauthenticated(ReasonTokenInvalid, "the access token is not valid").Because(err)
}
