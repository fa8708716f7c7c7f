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
)

const maxJWKS = 1 << 20

// ParseJWKS reads the Ed25519 keys of a JWK Set (RFC 7517, RFC 8037). Keys of other kinds, and those that are for another use or another
// algorithm, are passed over; an Ed25519 key that is broken is an error, and so is a private one: who publishes it is in trouble.
func ParseJWKS(b []byte) ([]Key, error) {
	var set struct {
		Keys []struct {
			Kty, Crv, X, Kid, Alg, Use string
			D                          json.RawMessage
		}
	}
	if len(b) > maxJWKS {
		return nil, fmt.Errorf("read the JWK set: it has more than %d bytes", maxJWKS)
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, fmt.Errorf("read the JWK set: %w", err)
	}
	var keys []Key
	for _, k := range set.Keys {
		if k.Kty != "OKP" || k.Crv != "Ed25519" || k.Use != "" && k.Use != "sig" || k.Alg != "" && k.Alg != "EdDSA" {
			continue
		}
		if k.D != nil {
			return nil, fmt.Errorf("read the JWK set: the key %q is a private one", k.Kid)
		}
		key, err := ParseKey(k.Kid, k.X)
		if err != nil {
			return nil, fmt.Errorf("read the JWK set: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// ParseKey makes a key of its name and of the x of its JWK: base64url without padding.
func ParseKey(kid, x string) (Key, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || len(raw) != ed25519.PublicKeySize || kid == "" {
		return Key{}, fmt.Errorf("the key %q is not an Ed25519 key", kid)
	}
	return Key{ID: kid, Public: raw}, nil
}

// JWKS is a KeySource that reads a JWK Set over HTTP. client may be nil for one without a proxy, a cookie or a redirect.
func JWKS(url string, client *http.Client) KeySource {
	if client == nil {
		client = &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true}, // it is asked every ten minutes
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the JWK set is not where it should be") },
		}
	}
	return KeySourceFunc(func(ctx context.Context) (_ []Key, err error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return nil, fmt.Errorf("ask for the JWK set: %w", err)
		}
		req.Header.Set("Accept", "application/json")
		rsp, err := client.Do(req)
		if err != nil {
			return nil, fmt.Errorf("ask for the JWK set: %w", err)
		}
		defer func() { err = errors.Join(err, rsp.Body.Close()) }()
		if rsp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("ask for the JWK set: %s", rsp.Status)
		}
		b, err := io.ReadAll(io.LimitReader(rsp.Body, maxJWKS+1))
		if err != nil {
			return nil, fmt.Errorf("ask for the JWK set: %w", err)
		}
		return ParseJWKS(b)
	})
}
