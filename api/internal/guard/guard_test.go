package guard_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/problem"
)

func ask(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestCertificates(t *testing.T) {
	g := &guard.Guard{Now: time.Now}
	spiffe, err := url.Parse("spiffe://shop.example/warehouse")
	if err != nil {
		t.Fatal(err)
	}
	for want, cert := range map[string]*x509.Certificate{
		"spiffe://shop.example/warehouse": {URIs: []*url.URL{spiffe}, Subject: pkix.Name{CommonName: "other"}, SerialNumber: big.NewInt(1)},
		"warehouse":                       {Subject: pkix.Name{CommonName: "warehouse"}, SerialNumber: big.NewInt(2)},
	} {
		r := ask()
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
		who, err := g.Identify(t.Context(), r)
		if err != nil || who.Kind != authn.KindCertificate || who.Subject != want {
			t.Errorf("%+v, %v", who, err)
		}
		if err := guard.Admit(who, nil, policy.Access{}); err != nil {
			t.Errorf("%s may not call what is for known callers: %v", want, err)
		}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}} // shown, and verified by nobody
		if who, err := g.Identify(t.Context(), r); err != nil || who.Kind != "" {
			t.Errorf("%+v, %v", who, err)
		}
	}
}

func TestAdmit(t *testing.T) {
	g := &guard.Guard{Now: time.Now, Keys: &apikey.Ring{}}
	_, notRead := g.Identify(t.Context(), ask(guard.KeyHeader, "clv_x"))
	nobody, none := g.Identify(t.Context(), ask("Authorization", "Basic eDp5"))
	if none != nil {
		t.Fatal(none)
	}
	known := guard.Caller{Identity: authn.Identity{Kind: authn.KindToken, Subject: "u", Scopes: []string{"a.read"}}}
	for what, tc := range map[string]struct {
		who     guard.Caller
		refused error
		access  policy.Access
		reason  string
	}{
		"everybody":           {nobody, nil, policy.Access{Public: true}, ""},
		"a stale token":       {guard.Caller{}, notRead, policy.Access{Public: true}, ""},
		"nobody":              {nobody, nil, policy.Access{}, guard.ReasonMissing},
		"keys were not read":  {guard.Caller{}, notRead, policy.Access{}, guard.ReasonUnavailable},
		"known":               {known, nil, policy.Access{}, ""},
		"granted":             {known, nil, policy.Access{Scopes: []string{"a.read"}}, ""},
		"not granted":         {known, nil, policy.Access{Scopes: []string{"a.read", "a.write"}}, guard.ReasonScope},
		"known without being": {guard.Caller{Identity: authn.Identity{Kind: authn.KindCertificate}}, nil, policy.Access{}, guard.ReasonMissing},
	} {
		err := guard.Admit(tc.who, tc.refused, tc.access)
		if (err == nil) != (tc.reason == "") || err != nil && problem.From(err).Reason != tc.reason {
			t.Errorf("%s: %v, want %q", what, err, tc.reason)
		}
	}
}
