package authn

import (
	"context"
	"slices"
	"time"
)

// Identity is who a token speaks for.
type Identity struct {
	// Subject is whose token it is: for the shop's, a customer's id.
	Subject string
	// Roles that the subject had when the token was made.
	Roles []string
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
