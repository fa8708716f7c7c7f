package authn

import (
	"context"
	"slices"
	"time"
)

// How a caller has said who it is.
const (
	KindToken       = "token"       // an access token
	KindKey         = "key"         // an API key
	KindCertificate = "certificate" // a client certificate
)

// Identity is who a caller is: who a token speaks for, or whose key or certificate it is.
type Identity struct {
	// Kind is how it was found out: KindToken, KindKey or KindCertificate.
	Kind string
	// Issuer of the token; empty for keys and certificates.
	Issuer string
	// Subject is whose token it is: for the shop's, a customer's id. Of a key it is the key's name, of a certificate its SPIFFE id or name.
	Subject string
	// Scopes are what the token or the key was granted.
	Scopes []string
	// Roles that the subject had when the token was made.
	Roles []string
	// Tenant is the customer of the operator's that the subject belongs to: the claim "tenant" of a token, a field of a key; empty for none.
	Tenant string
	// TokenID is the token's jti, fit for a log.
	TokenID string
	// KeyID is the key that it was signed with.
	KeyID string
	// IssuedAt and ExpiresAt bound its life.
	IssuedAt, ExpiresAt time.Time
}

// Has reports whether the subject has one of the roles.
func (i Identity) Has(roles ...string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(i.Roles, r) })
}

type identityKey struct{}

// With returns a context that From finds i in.
func With(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// From returns who calls, as Wrapper found it, and whether it did.
func From(ctx context.Context) (Identity, bool) {
	i, ok := ctx.Value(identityKey{}).(Identity)
	return i, ok
}
