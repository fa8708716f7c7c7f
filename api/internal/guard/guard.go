// Package guard finds out who sends a request: by an access token, by an API key, or by a client certificate; and whether that is enough for
// what a method asks.
package guard

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/problem"
)

// KeyHeader is where an API key may be, beside "Authorization: Bearer KEY".
const KeyHeader = "X-Api-Key"

// Reasons of a guard's errors; those of package authn come through, too.
const (
	ReasonAmbiguous   = "CREDENTIALS_AMBIGUOUS" // UNAUTHENTICATED: more than one of a kind, or of two kinds
	ReasonMissing     = "CREDENTIALS_MISSING"   // UNAUTHENTICATED
	ReasonKeyInvalid  = "API_KEY_INVALID"       // UNAUTHENTICATED: not known, ended or revoked
	ReasonScope       = "SCOPE_MISSING"         // PERMISSION_DENIED
	ReasonUnavailable = "KEYS_UNAVAILABLE"      // UNAVAILABLE: the API keys were not read yet
)

// Issuer of access tokens.
type Issuer struct {
	// Verifier verifies its tokens.
	Verifier *authn.Verifier
	// Roles are the scopes that each role of its tokens stands for.
	Roles map[string][]string
}

// Guard knows callers. It is safe for concurrent use.
type Guard struct {
	// Issuers by their name, the iss of their tokens. Without any, tokens are not looked at here: whom they reach verifies them.
	Issuers map[string]Issuer
	// Keys finds API keys; nil when there are none.
	Keys *apikey.Ring
	Now  func() time.Time
}

// Caller is who sends a request.
type Caller struct {
	// Identity's Kind is empty when nobody was named.
	authn.Identity
	// Token to pass on: an access token that is good, or that isn't looked at here.
	Token string
	// Key is the id of the API key, for a rate limit or a log.
	Key string
	// Priority that the key gives to its calls; empty for their method's.
	Priority string
}

// Identify says who sends a request. Its errors are problems: UNAUTHENTICATED for a credential that is no good or not the only one,
// UNAVAILABLE when it can't be verified now. A request without one is of a Caller without a Kind.
func (g *Guard) Identify(ctx context.Context, r *http.Request) (Caller, error) {
	authorization, keys := r.Header["Authorization"], r.Header[KeyHeader]
	if len(authorization) == 0 && len(keys) == 0 {
		return g.certified(r), nil
	}
	if len(authorization)+len(keys) > 1 { // the service would see one, and something in between perhaps the other
		return Caller{}, problem.Unauthenticated(ReasonAmbiguous, "there is more than one credential")
	}
	if len(keys) == 1 {
		return g.key(keys[0])
	}
	token, ok := bearer(authorization[0])
	switch {
	case !ok: // Basic, say: nobody here takes it
		return g.certified(r), nil
	case apikey.Is(token):
		return g.key(token)
	case len(g.Issuers) == 0:
		c := g.certified(r)
		c.Token = token
		return c, nil
	}
	return g.token(ctx, token)
}

func (g *Guard) key(text string) (Caller, error) {
	if g.Keys == nil {
		return Caller{}, problem.Unauthenticated(ReasonKeyInvalid, "the API key is not known")
	}
	k, err := g.Keys.Find(text, g.Now())
	switch {
	case errors.Is(err, apikey.ErrNotReady):
		return Caller{}, problem.Unavailable(ReasonUnavailable, "the API keys were not read yet")
	case err != nil:
		return Caller{}, problem.Unauthenticated(ReasonKeyInvalid, "the API key is not known, or has ended")
	}
	return Caller{Key: k.ID, Priority: k.Priority, Identity: authn.Identity{
		Kind: authn.KindKey, Subject: k.Name, Scopes: k.Scopes, Tenant: k.Tenant, TokenID: k.ID, IssuedAt: k.Created, ExpiresAt: k.Expires,
	}}, nil
}

func (g *Guard) token(ctx context.Context, token string) (Caller, error) {
	i, ok := g.Issuers[issuer(token)]
	if !ok {
		return Caller{}, problem.Unauthenticated(authn.ReasonTokenInvalid, "the access token is not valid")
	}
	who, err := i.Verifier.Verify(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	for _, r := range who.Roles {
		who.Scopes = append(who.Scopes, i.Roles[r]...)
	}
	return Caller{Identity: who, Token: token}, nil
}

// issuer is the iss that a token names, which nothing has proved yet: it only says whose keys to try.
func issuer(token string) string {
	if len(token) > authn.MaxToken {
		return ""
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(b, &c) != nil {
		return ""
	}
	return c.Issuer
}

// certified is who the client's certificate names: crypto/tls has verified it, when the server was told whose certificates to take.
func (g *Guard) certified(r *http.Request) Caller {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return Caller{}
	}
	cert := r.TLS.VerifiedChains[0][0]
	return Caller{Identity: authn.Identity{
		Kind: authn.KindCertificate, Subject: subject(cert), TokenID: cert.SerialNumber.Text(16), IssuedAt: cert.NotBefore, ExpiresAt: cert.NotAfter,
	}}
}

// subject is the SPIFFE id of a certificate (SPIFFE X.509-SVID, 2: its one URI), or its common name.
func subject(cert *x509.Certificate) string {
	if len(cert.URIs) == 1 && cert.URIs[0].Scheme == "spiffe" {
		return cert.URIs[0].String()
	}
	return cert.Subject.CommonName
}

// bearer returns the token of an Authorization header (RFC 6750, 2.1).
func bearer(header string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= authn.MaxToken && !strings.ContainsFunc(token, func(c rune) bool {
		return c <= ' ' || c > '~'
	})
}

// Admit says whether a caller may call a method. refused is what Identify had to say. A public method lets everybody through, also whom a stale
// token names: as nobody. The errors are problems: UNAUTHENTICATED, PERMISSION_DENIED, or refused itself.
func Admit(c Caller, refused error, a policy.Access) error {
	switch {
	case a.Public:
		return nil
	case refused != nil:
		return refused
	case c.Kind == "" || c.Subject == "":
		return problem.Unauthenticated(ReasonMissing, "an access token or an API key is needed")
	}
	if s := a.Missing(c.Scopes); s != "" {
		return problem.PermissionDenied(ReasonScope, "the scope %s is needed", s)
	}
	return nil
}

// Challenge is the WWW-Authenticate header that goes with an error of Admit (RFC 6750, 3).
func Challenge(err error, a policy.Access) string {
	p := problem.From(err)
	switch p.Reason {
	case ReasonMissing:
		return `Bearer realm="cleave"`
	case ReasonScope:
		return `Bearer realm="cleave", error="insufficient_scope", scope="` + strings.Join(a.Scopes, " ") + `"`
	case ReasonAmbiguous:
		return `Bearer realm="cleave", error="invalid_request"`
	default:
		return `Bearer realm="cleave", error="invalid_token"`
	}
}
