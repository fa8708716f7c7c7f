package authn

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

// The key of RFC 8037, appendix A.2.
const rfcKey = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"rfc"}`

func TestParseJWKS(t *testing.T) {
	keys, err := ParseJWKS([]byte(`{"more": 1, "keys": [` + rfcKey + `,
		{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"rsa"}, {"kty":"OKP","crv":"X25519","x":"AA","kid":"x"},
		{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"e","use":"enc"}, {"kty":"OKP","crv":"Ed25519","x":"AA","kid":"e","alg":"ES256"}]}`))
	if err != nil || len(keys) != 1 || keys[0].ID != "rfc" ||
		base64.RawURLEncoding.EncodeToString(keys[0].Public.(ed25519.PublicKey)) != "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" {
		t.Errorf("%v, %v", keys, err)
	}
	for name, set := range map[string]string{
		"no JSON": "x", "a short key": `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"AA"}]}`,
		"no name":     strings.Replace(`{"keys":[`+rfcKey+`]}`, `"rfc"`, `""`, 1),
		"padding":     strings.Replace(`{"keys":[`+rfcKey+`]}`, `URo"`, `URo="`, 1),
		"a private":   strings.Replace(`{"keys":[`+rfcKey+`]}`, `"kid"`, `"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","kid"`, 1),
		"much of it":  `{"keys":[]` + strings.Repeat(" ", maxJWKS) + `}`,
		"other types": `{"keys":[{"kty":1}]}`,
	} {
		if keys, err := ParseJWKS([]byte(set)); err == nil {
			t.Errorf("%s: %v", name, keys)
		}
	}
}

func TestJWKSOverHTTP(t *testing.T) {
	s := newSigner(t)
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/jwks.json", http.StatusFound)
			return
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":%q}]}`, base64.RawURLEncoding.EncodeToString(s.public))
	}))
	defer srv.Close()
	if _, err := s.verifier(t, JWKS(srv.URL+"/jwks.json", nil)).Verify(t.Context(), s.sign(t, s.claims())); err != nil {
		t.Error(err)
	}
	_, err := s.verifier(t, JWKS(srv.URL+"/moved", nil)).Verify(t.Context(), s.sign(t, s.claims()))
	mustFail(t, err, codes.Unavailable, ReasonKeysUnavailable)
	status = http.StatusInternalServerError
	_, err = s.verifier(t, JWKS(srv.URL+"/jwks.json", srv.Client())).Verify(t.Context(), s.sign(t, s.claims()))
	mustFail(t, err, codes.Unavailable, ReasonKeysUnavailable)
	_, err = s.verifier(t, JWKS(":", nil)).Verify(t.Context(), s.sign(t, s.claims()))
	mustFail(t, err, codes.Unavailable, ReasonKeysUnavailable)
}
