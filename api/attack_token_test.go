package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/kv"
)

// mint makes tokens and keys, good ones and others.
type mint struct {
	t         *testing.T
	ed        ed25519.PrivateKey
	ec        *ecdsa.PrivateKey
	rsa       *rsa.PrivateKey
	asked     atomic.Int32 // how often the gateway asked for the keys
	key, dead string       // API keys
	documents kv.Static
}

func newMint(t *testing.T) *mint {
	t.Helper()
	m := &mint{t: t, documents: kv.Static{}}
	var errs [3]error
	_, m.ed, errs[0] = ed25519.GenerateKey(rand.Reader)
	m.ec, errs[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m.rsa, errs[2] = rsa.GenerateKey(rand.Reader, 2048)
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	m.key = m.apikey("shop", time.Time{})
	m.dead = m.apikey("left", time.Now())
	return m
}

func (m *mint) apikey(name string, revoked time.Time, with ...func(*apikey.Key)) string {
	k, text, err := apikey.New(name, []string{"catalog.*"}, time.Now(), time.Time{})
	if err != nil {
		m.t.Fatal(err)
	}
	k.Revoked = revoked
	for _, f := range with {
		f(&k)
	}
	if m.documents[k.ID], err = json.Marshal(k); err != nil {
		m.t.Fatal(err)
	}
	return text
}

func (m *mint) configure(c *api.Config) {
	keys := []authn.Key{{ID: "ed", Public: m.ed.Public()}, {ID: "ec", Public: m.ec.Public()}, {ID: "rsa", Public: m.rsa.Public()}}
	c.Keys = m.documents
	c.Issuers = []api.Issuer{{
		Name: "https://id.example", Audience: "shop", Roles: map[string][]string{"staff": {"catalog.*"}},
		Keys: authn.KeySourceFunc(func(context.Context) ([]authn.Key, error) {
			m.asked.Add(1)
			return keys, nil
		}),
	}}
}

// token signs a token; claims replace those of a good one, and a nil takes one away.
func (m *mint) token(method jwt.SigningMethod, kid string, key any, claims, header map[string]any) string {
	m.t.Helper()
	all := jwt.MapClaims{
		"iss": "https://id.example", "aud": "shop", "sub": "u1", "jti": "1", "scope": "catalog.write",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	for k, v := range claims {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	t := jwt.NewWithClaims(method, all)
	t.Header["kid"] = kid
	for k, v := range header {
		t.Header[k] = v
	}
	text, err := t.SignedString(key)
	if err != nil {
		m.t.Fatal(err)
	}
	return "Bearer " + text
}

func (m *mint) good() string { return m.token(jwt.SigningMethodEdDSA, "ed", m.ed, nil, nil) }

func (m *mint) with(claims map[string]any) string {
	return m.token(jwt.SigningMethodEdDSA, "ed", m.ed, claims, nil)
}

// create is what only who may write into the catalogue can do.
func (b *battle) create(headers ...string) int {
	b.t.Helper()
	a := b.send("POST", "/v1/products", widget, append([]string{"Content-Type", "application/json"}, headers...)...)
	if (a.status == 401 || a.status == 403) != (a.header.Get("Www-Authenticate") != "") {
		b.t.Errorf("a %d with WWW-Authenticate %q", a.status, a.header.Get("Www-Authenticate"))
	}
	return a.status
}

func tokenAttacks() []attack {
	bearer := func(f func(m *mint) string) func(*battle) int {
		return func(b *battle) int { return b.create("Authorization", f(b.tokens)) }
	}
	claim := func(name string, value any) func(*battle) int {
		return bearer(func(m *mint) string { return m.with(map[string]any{name: value}) })
	}
	at := func(name string, d time.Duration) func(*battle) int { // from the moment on which it is tried
		return bearer(func(m *mint) string { return m.with(map[string]any{name: time.Now().Add(d).Unix()}) })
	}
	refused, ok := []int{401}, []int{200}
	return []attack{
		{"(a good token, EdDSA)", bearer((*mint).good), ok},
		{"(a good token, ES256)", bearer(func(m *mint) string { return m.token(jwt.SigningMethodES256, "ec", m.ec, nil, nil) }), ok},
		{"(a good token, RS256)", bearer(func(m *mint) string { return m.token(jwt.SigningMethodRS256, "rsa", m.rsa, nil, nil) }), ok},
		{"(a good token of a role)", bearer(func(m *mint) string { return m.with(map[string]any{"scope": nil, "roles": []string{"staff"}}) }), ok},
		{"(a good API key)", func(b *battle) int { return b.create("X-Api-Key", b.tokens.key) }, ok},
		{"(a good API key as a bearer token)", bearer(func(m *mint) string { return "Bearer " + m.key }), ok},
		{"(expired within the leeway)", at("exp", -time.Second), ok},
		{"no credential", func(b *battle) int { return b.create() }, refused},
		{"alg none", bearer(func(m *mint) string {
			return m.token(jwt.SigningMethodNone, "ed", jwt.UnsafeAllowNoneSignatureType, nil, nil)
		}), refused},
		{"alg nOnE", bearer(func(m *mint) string {
			return m.token(jwt.SigningMethodNone, "ed", jwt.UnsafeAllowNoneSignatureType, nil, map[string]any{"alg": "nOnE"})
		}), refused},
		{"HS256 with the RSA public key, PEM", bearer(func(m *mint) string {
			der, err := x509.MarshalPKIXPublicKey(m.rsa.Public())
			if err != nil {
				m.t.Fatal(err)
			}
			return m.token(jwt.SigningMethodHS256, "rsa", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil, nil)
		}), refused},
		{"HS256 with the Ed25519 public key", bearer(func(m *mint) string {
			return m.token(jwt.SigningMethodHS256, "ed", []byte(m.ed.Public().(ed25519.PublicKey)), nil, nil)
		}), refused},
		{"RS256 under an EdDSA key's name", bearer(func(m *mint) string { return m.token(jwt.SigningMethodRS256, "ed", m.rsa, nil, nil) }), refused},
		{"PS256, which nobody agreed on", bearer(func(m *mint) string { return m.token(jwt.SigningMethodPS256, "rsa", m.rsa, nil, nil) }), refused},
		{"a key of one's own in the header (jwk, jku)", bearer(func(m *mint) string {
			_, own, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				m.t.Fatal(err)
			}
			return m.token(jwt.SigningMethodEdDSA, "ed", own, nil, map[string]any{"jku": "https://evil.example/keys", "jwk": map[string]string{"kty": "OKP"}})
		}), refused},
		{"an extension that must be understood (crit)", bearer(func(m *mint) string {
			return m.token(jwt.SigningMethodEdDSA, "ed", m.ed, nil, map[string]any{"crit": []string{"exp"}})
		}), refused},
		{"another's claims under a good signature", bearer(func(m *mint) string {
			a, b := strings.Split(m.good(), "."), strings.Split(m.with(map[string]any{"sub": "root"}), ".")
			return a[0] + "." + b[1] + "." + a[2]
		}), refused},
		{"no signature", bearer(func(m *mint) string { return m.good()[:strings.LastIndex(m.good(), ".")+1] }), refused},
		{"expired", at("exp", -10*time.Minute), refused},
		{"no expiry", claim("exp", nil), refused},
		{"not yet good (nbf)", at("nbf", 10*time.Minute), refused},
		{"from the future (iat)", at("iat", 10*time.Minute), refused},
		{"for another audience", claim("aud", "bank"), refused},
		{"of another issuer", claim("iss", "https://evil.example"), refused},
		{"of an issuer that is a list", claim("iss", []string{"https://id.example"}), refused},
		{"nobody's (no sub)", claim("sub", nil), refused},
		{"a token of 9 KiB", claim("x", strings.Repeat("x", 9<<10)), refused},
		{"a flood of unknown kids", func(b *battle) int {
			before := b.tokens.asked.Load()
			status := 0
			for i := range 50 {
				status = b.create("Authorization", b.tokens.token(jwt.SigningMethodEdDSA, fmt.Sprint("k", i), b.tokens.ed, nil, nil))
			}
			// At most one question every five seconds, however long this took.
			if n := b.tokens.asked.Load() - before; n > 20 {
				b.t.Errorf("the keys were asked for %d times", n)
			}
			return status
		}, refused},
		{"a scope that was not granted", claim("scope", "catalog.read catalog"), []int{403}},
		{"an API key that was revoked", func(b *battle) int { return b.create("X-Api-Key", b.tokens.dead) }, refused},
		{"an API key with a guessed secret", func(b *battle) int { return b.create("X-Api-Key", b.tokens.key[:21]+b.tokens.dead[21:]) }, refused},
		{"two credentials", func(b *battle) int { return b.create("X-Api-Key", b.tokens.key, "Authorization", b.tokens.good()) }, refused},
		{"two tokens", func(b *battle) int {
			return b.create("Authorization", b.tokens.good(), "Authorization", b.tokens.good())
		}, refused},
		{"Basic, with a token as the password", func(b *battle) int { return b.create("Authorization", "Basic "+b.tokens.good()[7:]) }, refused},
	}
}
