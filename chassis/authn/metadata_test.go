package authn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"go-micro.dev/v4/metadata"
)

func TestStamp(t *testing.T) {
	md := metadata.Metadata{"cleave-caller-subject": "root", "Cleave-Anything": "x", "Other": "stays"}
	Stamp(md, Identity{})
	if len(md) != 2 || md[kindHeader] != KindNobody {
		t.Errorf("of nobody: %v", md)
	}
	want := Identity{Kind: KindToken, Issuer: "https://id.example/", Subject: "a b\n\u00fc", Scopes: []string{"a.read", "b c"}, Roles: []string{"admin"}, TokenID: "1", Tenant: "acme, inc"}
	Stamp(md, want)
	for _, v := range md {
		for _, r := range v {
			if r < ' ' || r > '~' {
				t.Errorf("%q can't be metadata", v)
			}
		}
	}
	got, ok := Stamped(metadata.NewContext(context.Background(), md))
	if !ok || got.Subject != want.Subject || got.Issuer != want.Issuer || got.TokenID != "1" || got.Tenant != want.Tenant || !slices.Equal(got.Scopes, want.Scopes) || !got.Has("admin") {
		t.Errorf("%+v", got)
	}
	if _, ok := Stamped(context.Background()); ok {
		t.Error("someone calls, of whom nobody said anything")
	}
	for key, want := range map[string]bool{"Cleave-Caller-Kind": true, "cleave-x": true, "CLEAVE-": true, "cleave": false, "X-Cleave-": false} {
		if Reserved(key) != want {
			t.Errorf("%s: %t", key, !want)
		}
	}
}

func TestDiscoverKeysOfEveryKind(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: ec.Public(), KeyID: "ec", Algorithm: "ES256", Use: "sig"}, {Key: r.Public(), KeyID: "rsa", Use: "sig"},
		{Key: big.Public(), KeyID: "big", Use: "sig"}, {Key: r.Public(), KeyID: "pss", Algorithm: "PS256", Use: "sig"},
	}}
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	defer s.Close()
	issuer := s.URL
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": issuer, "jwks_uri": s.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(set) })

	keys, err := Discover(s.URL, nil).Keys(t.Context())
	if err != nil || len(keys) != 2 || keys[0].ID != "ec" || keys[0].Algorithm() != ES256 || keys[1].Algorithm() != RS256 {
		t.Errorf("%v, %v", keys, err)
	}
	issuer = "https://another.example"
	if _, err := Discover(s.URL, nil).Keys(t.Context()); err == nil {
		t.Error("another issuer's keys were taken")
	}
	if _, err := Discover(s.URL+"/nothing", nil).Keys(t.Context()); err == nil {
		t.Error("keys were found where there are none")
	}
}
