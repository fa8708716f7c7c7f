package edge

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/cleavehq/cleave/test/harness"
)

const rotation = 30 * time.Second

// provider is an OpenID Connect issuer whose keys change.
type provider struct {
	*httptest.Server
	t    *testing.T
	keys atomic.Pointer[jose.JSONWebKeySet]
}

func newProvider(t *testing.T) *provider {
	p := &provider{t: t}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(p.keys.Load()) })
	return p
}

// publish replaces the keys by those of the names.
func (p *provider) publish(all map[string]ed25519.PrivateKey, names ...string) {
	set := &jose.JSONWebKeySet{}
	for _, n := range names {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: all[n].Public(), KeyID: n, Use: "sig"})
	}
	p.keys.Store(set)
}

// token is one that may read orders.
func (p *provider) token(kid string, key ed25519.PrivateKey) string {
	p.t.Helper()
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": p.URL, "aud": "shop", "sub": "ada", "jti": harness.UUID(p.t), "scope": "order.read", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// TestKeysOfAnIssuerRotate: the gateway discovers the issuer's keys, takes a new one as soon as it is used, and an old one no longer once it is gone.
func TestKeysOfAnIssuerRotate(t *testing.T) {
	p := newProvider(t)
	all := map[string]ed25519.PrivateKey{}
	for _, name := range []string{"old", "new", "never"} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = key
	}
	p.publish(all, "old")
	s := harness.OneProcess(t, binary.Build(t), nil, "--auth-issuer", p.URL, "--auth-audience", "shop")
	old, next, never := p.token("old", all["old"]), p.token("new", all["new"]), p.token("never", all["never"])
	orders(t, s, old, http.StatusOK)
	orders(t, s, next, http.StatusUnauthorized)

	p.publish(all, "old", "new")
	harness.Eventually(t, rotation, "the new key is taken", func() bool {
		orders(t, s, old, http.StatusOK)
		return read(t, s, next) == http.StatusOK
	})
	p.publish(all, "new")
	harness.Eventually(t, rotation, "the old key is refused", func() bool {
		orders(t, s, never, http.StatusUnauthorized) // what makes the gateway ask before ten minutes are over
		orders(t, s, next, http.StatusOK)
		return read(t, s, old) == http.StatusUnauthorized
	})
}

// TestAPIKeysRotate: a second key beside the first, and the first one's end, by the commands for it and without a restart.
func TestAPIKeysRotate(t *testing.T) {
	bin := binary.Build(t)
	s := harness.OneProcess(t, bin, nil)
	apikey := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), bin, append(append([]string{"apikey"}, args...), "--data-dir", s.DataDir())...).Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	first := apikey("create", "ci", "--scope", "order.read")
	harness.Eventually(t, rotation, "the first key is taken", func() bool { return read(t, s, first) == http.StatusOK })
	second := apikey("create", "ci", "--scope", "order.read")
	harness.Eventually(t, rotation, "the second key is taken", func() bool {
		orders(t, s, first, http.StatusOK)
		return read(t, s, second) == http.StatusOK
	})
	apikey("revoke", strings.Split(first, "_")[1][:16])
	harness.Eventually(t, rotation, "the first key is refused", func() bool {
		orders(t, s, second, http.StatusOK)
		return read(t, s, first) == http.StatusUnauthorized
	})
}

// orders reads the orders, which a scope is needed for, and fails the test when the answer isn't what it should be.
func orders(t *testing.T, s *harness.System, credential string, want int) {
	t.Helper()
	if got := read(t, s, credential); got != want {
		t.Fatalf("status %d, want %d", got, want)
	}
}

func read(t *testing.T, s *harness.System, credential string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"/v1/orders", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+credential)
	status, err := s.Guest().Send(req, nil)
	if err != nil {
		t.Fatal(err)
	}
	return status
}
