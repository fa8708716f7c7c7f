package authn

import (
	"context"
	"net/url"
	"strings"

	"go-micro.dev/v4/metadata"
)

// The metadata that say who calls. All begin with Cleave-Caller-, which nothing from outside may.
const (
	prefix        = "Cleave-Caller-"
	kindHeader    = prefix + "Kind"
	issuerHeader  = prefix + "Issuer"
	subjectHeader = prefix + "Subject"
	scopesHeader  = prefix + "Scopes"
	rolesHeader   = prefix + "Roles"
	idHeader      = prefix + "Token-Id"
	tenantHeader  = prefix + "Tenant"
)

// Stamp puts who calls into the metadata of a call: KindNobody alone when i is the zero value. Only a gateway that has verified it may.
func Stamp(md metadata.Metadata, i Identity) {
	for k := range md {
		if Reserved(k) {
			delete(md, k)
		}
	}
	if i.Kind == "" {
		md[kindHeader] = KindNobody
		return
	}
	set := func(k, v string) {
		if v != "" {
			md[k] = v
		}
	}
	set(kindHeader, i.Kind)
	set(issuerHeader, url.QueryEscape(i.Issuer))
	set(subjectHeader, url.QueryEscape(i.Subject))
	set(tenantHeader, url.QueryEscape(i.Tenant))
	set(idHeader, url.QueryEscape(i.TokenID))
	set(scopesHeader, join(i.Scopes))
	set(rolesHeader, join(i.Roles))
}

// Stamped returns who calls, as the gateway said it in the metadata, and whether it said so. It can be trusted as far as the network that
// the call came over: whoever reaches a module's port directly may say what they like. A service that must not trust its network verifies
// the token itself, with Caller.
func Stamped(ctx context.Context) (Identity, bool) {
	md, _ := metadata.FromContext(ctx)
	get := func(k string) string {
		v, err := url.QueryUnescape(md[k])
		if err != nil {
			return ""
		}
		return v
	}
	i := Identity{
		Kind: md[kindHeader], Issuer: get(issuerHeader), Subject: get(subjectHeader), TokenID: get(idHeader), Tenant: get(tenantHeader),
		Scopes: split(md[scopesHeader]), Roles: split(md[rolesHeader]),
	}
	return i, i.Kind != "" && i.Subject != ""
}

// Reserved reports whether a header or a metadata key is a gateway's to set, whatever its case: an edge has to drop it from what a client
// sends, in every protocol. It is Cleave-Anything.
func Reserved(key string) bool {
	const reserved = "cleave-"
	return len(key) >= len(reserved) && strings.EqualFold(key[:len(reserved)], reserved)
}

func join(names []string) string {
	escaped := make([]string, len(names))
	for i, n := range names {
		escaped[i] = url.QueryEscape(n)
	}
	return strings.Join(escaped, " ")
}

func split(text string) []string {
	var out []string
	for _, n := range strings.Fields(text) {
		if v, err := url.QueryUnescape(n); err == nil {
			out = append(out, v)
		}
	}
	return out
}
