package authn

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

const maxJWKS = 1 << 20

// ParseJWKS reads the keys of a JWK Set (RFC 7517, RFC 7518, RFC 8037): Ed25519, P-256 and RSA of 2,048 to 8,192 bits. Keys of other kinds or
// lengths, and those that are for another use or another algorithm, are passed over; one of these that is broken is an error, and so is a private one: who
// publishes it is in trouble.
func ParseJWKS(b []byte) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage
	}
	if len(b) > maxJWKS {
		return nil, fmt.Errorf("read the JWK set: it has more than %d bytes", maxJWKS)
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, fmt.Errorf("read the JWK set: %w", err)
	}
	var keys []Key
	for _, raw := range set.Keys {
		key, err := parseJWK(raw)
		if err != nil {
			return nil, fmt.Errorf("read the JWK set: %w", err)
		}
		if key.ID != "" {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// parseJWK reads one key; the zero Key for one that is passed over.
func parseJWK(raw []byte) (Key, error) {
	var k struct {
		Kty, Crv, X, Kid, Alg, Use string
		D                          json.RawMessage
	}
	if err := json.Unmarshal(raw, &k); err != nil {
		return Key{}, err
	}
	alg := map[string]string{"OKP Ed25519": EdDSA, "EC P-256": ES256, "RSA ": RS256}[k.Kty+" "+k.Crv]
	if alg == "" || k.Use != "" && k.Use != "sig" || k.Alg != "" && k.Alg != alg {
		return Key{}, nil
	}
	if k.D != nil {
		return Key{}, fmt.Errorf("the key %q is a private one", k.Kid)
	}
	if alg == EdDSA {
		return ParseKey(k.Kid, k.X)
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil {
		return Key{}, fmt.Errorf("the key %q: %w", k.Kid, err)
	}
	key := Key{ID: k.Kid, Public: jwk.Key}
	if key.Algorithm() != alg { // a weak one
		return Key{}, nil
	}
	if k.Kid == "" {
		return Key{}, errors.New("a key has no name")
	}
	return key, nil
}

// ParseKey makes a key of its name and of the x of its JWK: base64url without padding.
func ParseKey(kid, x string) (Key, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || len(raw) != ed25519.PublicKeySize || kid == "" {
		return Key{}, fmt.Errorf("the key %q is not an Ed25519 key", kid)
	}
	return Key{ID: kid, Public: ed25519.PublicKey(raw)}, nil
}

// JWKS is a KeySource that reads a JWK Set over HTTP. client may be nil for one without a proxy, a cookie or a redirect.
func JWKS(url string, client *http.Client) KeySource {
	return KeySourceFunc(func(ctx context.Context) ([]Key, error) {
		b, err := read(ctx, url, client)
		if err != nil {
			return nil, fmt.Errorf("ask for the JWK set: %w", err)
		}
		return ParseJWKS(b)
	})
}

// Discover is a KeySource that finds the JWK Set of an issuer first, as OpenID Connect Discovery 1.0 says (section 4): what is at
// ISSUER/.well-known/openid-configuration names it, and has to name the issuer, too. Both are asked each time. client is as for JWKS.
func Discover(issuer string, client *http.Client) KeySource {
	return KeySourceFunc(func(ctx context.Context) ([]Key, error) {
		b, err := read(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", client)
		if err != nil {
			return nil, fmt.Errorf("discover the issuer's keys: %w", err)
		}
		var said struct {
			Issuer string `json:"issuer"`
			JWKS   string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(b, &said); err != nil {
			return nil, fmt.Errorf("discover the issuer's keys: %w", err)
		}
		if said.Issuer != issuer {
			return nil, fmt.Errorf("discover the issuer's keys: it is %.200q, not %q", said.Issuer, issuer)
		}
		if u, err := url.Parse(said.JWKS); err != nil || u.Scheme != "https" && !strings.HasPrefix(issuer, "http://") {
			return nil, fmt.Errorf("discover the issuer's keys: %.200q is no https address", said.JWKS)
		}
		return JWKS(said.JWKS, client).Keys(ctx)
	})
}

// read gets a JSON document of at most 1 MiB.
func read(ctx context.Context, url string, client *http.Client) (_ []byte, err error) {
	if client == nil {
		client = &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true}, // it is asked every ten minutes
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it is not where it should be") },
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	rsp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rsp.Body.Close()) }()
	if rsp.StatusCode != http.StatusOK {
		return nil, errors.New(rsp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(rsp.Body, maxJWKS+1))
	if err == nil && len(b) > maxJWKS {
		return nil, fmt.Errorf("it has more than %d bytes", maxJWKS)
	}
	return b, err
}
