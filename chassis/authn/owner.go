package authn

import (
	"context"
	"slices"
	"strings"

	"go-micro.dev/v4/metadata"
)

// KindNobody is the kind of a call that came from outside, and whose caller didn't say who it is.
const KindNobody = "nobody"

// Outside returns who calls, and whether a gateway let the call in; an Identity of KindNobody when the caller didn't say who it is. A call that
// no gateway let in is a module's own, or an operator's: it can be trusted as far as the network, as Stamped says. What a handler calls for
// somebody outside is that one's call, too.
func Outside(ctx context.Context) (Identity, bool) {
	if i, ok := Stamped(ctx); ok {
		return i, true
	}
	kind, _ := metadata.Get(ctx, kindHeader)
	return Identity{Kind: KindNobody}, kind != ""
}

// Granted reports whether the caller was granted a scope; see Grants.
func (i Identity) Granted(scope string) bool { return Grants(i.Scopes, scope) }

// Owns reports whether the caller is a subject of an issuer, by an access token: a key's name, or another issuer's subject, is nobody's id.
func (i Identity) Owns(issuer, subject string) bool {
	return i.Kind == KindToken && i.Issuer == issuer && i.Subject == subject && subject != ""
}

// Allowed reports whether a call may have what belongs to a subject of an issuer: its owner's may, that of whoever was granted the scope, and one
// that didn't come from outside.
func Allowed(ctx context.Context, issuer, owner, scope string) bool {
	who, outside := Outside(ctx)
	return !outside || who.Owns(issuer, owner) || who.Granted(scope)
}

// Grants reports whether grants cover a scope: the scope itself, "catalog.*" for all that begins with "catalog.", "*" for all.
func Grants(grants []string, scope string) bool {
	return slices.ContainsFunc(grants, func(g string) bool {
		if g == scope || g == "*" {
			return true
		}
		prefix, ok := strings.CutSuffix(g, "*")
		return ok && strings.HasSuffix(prefix, ".") && strings.HasPrefix(scope, prefix)
	})
}
