package authn

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	issuer   = "cleave"
	audience = "shop"
)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type signer struct {
	private ed25519.PrivateKey
	public  ed25519.PublicKey
	clock   *clock
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{private, public, &clock{at: time.Unix(1_800_000_000, 0)}}
}

func (s *signer) claims() jwt.MapClaims {
	now := s.clock.now()
	return jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": "c1", "jti": "t1", "roles": []string{"customer", "admin"},
		"iat": now.Unix(), "exp": now.Add(15 * time.Minute).Unix(),
	}
}

func sign(t *testing.T, m jwt.SigningMethod, key any, header map[string]any, c jwt.Claims) string {
	t.Helper()
	token := jwt.NewWithClaims(m, c)
	for k, v := range header {
		token.Header[k] = v
	}
	out, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *signer) sign(t *testing.T, c jwt.Claims) string {
	return sign(t, jwt.SigningMethodEdDSA, s.private, map[string]any{"kid": "k1"}, c)
}

func (s *signer) verifier(t *testing.T, source KeySource) *Verifier {
	t.Helper()
	v, err := New(Config{Issuer: issuer, Audience: audience, Keys: source, Now: s.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustFail(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %v %s", err, code, reason)
	}
}

func TestARightToken(t *testing.T) {
	s := newSigner(t)
	v := s.verifier(t, Static(Key{"k1", s.public}))
	who, err := v.Verify(t.Context(), s.sign(t, s.claims()))
	if err != nil {
		t.Fatal(err)
	}
	if who.Subject != "c1" || who.TokenID != "t1" || who.KeyID != "k1" || !who.Has("x", "admin") || who.Has("staff") || who.Has() ||
		!who.IssuedAt.Equal(s.clock.now()) || !who.ExpiresAt.Equal(s.clock.now().Add(15*time.Minute)) {
		t.Errorf("got %+v", who)
	}
}

// Each of these is one step away from a right token, and none is taken.
func TestWrongTokens(t *testing.T) {
	s := newSigner(t)
	v := s.verifier(t, Static(Key{"k1", s.public}))
	right := s.sign(t, s.claims())
	with := func(name string, value any) string {
		c := s.claims()
		c[name] = value
		if value == nil {
			delete(c, name)
		}
		return s.sign(t, c)
	}
	parts := strings.Split(right, ".")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	header := func(h map[string]any) string {
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now, kid := s.clock.now(), map[string]any{"kid": "k1"}
	for name, token := range map[string]string{
		"alg none":                      header(map[string]any{"alg": "none", "kid": "k1"}) + "." + parts[1] + ".",
		"alg None":                      header(map[string]any{"alg": "None", "kid": "k1"}) + "." + parts[1] + ".",
		"alg none with the signature":   header(map[string]any{"alg": "none", "kid": "k1"}) + "." + parts[1] + "." + parts[2],
		"the public key as HMAC secret": sign(t, jwt.SigningMethodHS256, []byte(s.public), kid, s.claims()),
		"the public key's text as HMAC": sign(t, jwt.SigningMethodHS512, []byte(base64.RawURLEncoding.EncodeToString(s.public)), kid, s.claims()),
		"RSA":                           sign(t, jwt.SigningMethodRS256, rsaKey, kid, s.claims()),
		"signed by a stranger":          sign(t, jwt.SigningMethodEdDSA, stranger, kid, s.claims()),
		"an unknown key":                sign(t, jwt.SigningMethodEdDSA, s.private, map[string]any{"kid": "k2"}, s.claims()),
		"no key id":                     sign(t, jwt.SigningMethodEdDSA, s.private, nil, s.claims()),
		"a number for a key id":         sign(t, jwt.SigningMethodEdDSA, s.private, map[string]any{"kid": 1}, s.claims()),
		"a crit header":                 sign(t, jwt.SigningMethodEdDSA, s.private, map[string]any{"kid": "k1", "crit": []string{"x"}}, s.claims()),
		"a key in the header":           sign(t, jwt.SigningMethodEdDSA, stranger, map[string]any{"kid": "k9", "jwk": map[string]any{"kty": "OKP"}}, s.claims()),
		"another issuer":                with("iss", "someone"),
		"no issuer":                     with("iss", nil),
		"another audience":              with("aud", []string{"bank"}),
		"no audience":                   with("aud", nil),
		"no expiry":                     with("exp", nil),
		"no issue time":                 with("iat", nil),
		"issued in the future":          with("iat", now.Add(time.Minute).Unix()),
		"not before the future":         with("nbf", now.Add(time.Minute).Unix()),
		"no subject":                    with("sub", nil),
		"a long subject":                with("sub", strings.Repeat("x", 256)),
		"no id":                         with("jti", nil),
		"an empty role":                 with("roles", []string{""}),
		"many roles":                    with("roles", strings.Split(strings.Repeat("x ", 101), " ")),
		"roles that are a text":         with("roles", "admin"),
		"another payload":               parts[0] + "." + strings.Split(with("sub", "c2"), ".")[1] + "." + parts[2],
		"no signature":                  parts[0] + "." + parts[1] + ".",
		"padding":                       right + "=",
		"too long":                      right + strings.Repeat("A", MaxToken),
		"no token at all":               "x",
	} {
		if _, err := v.Verify(t.Context(), token); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			mustFail(t, err, codes.Unauthenticated, ReasonTokenInvalid)
			if strings.Contains(err.Error(), parts[1]) {
				t.Errorf("%s: the error shows the token: %v", name, err)
			}
		}
	}
	_, err = v.Verify(t.Context(), "")
	mustFail(t, err, codes.Unauthenticated, ReasonTokenMissing)
}

func TestLeeway(t *testing.T) {
	s := newSigner(t)
	v := s.verifier(t, Static(Key{"k1", s.public}))
	token := s.sign(t, s.claims())
	for _, step := range []struct {
		add time.Duration
		ok  bool
	}{{-29 * time.Second, true}, {-2 * time.Second, false}, {31*time.Second + 15*time.Minute + 29*time.Second, true}, {2 * time.Second, false}} {
		s.clock.add(step.add)
		_, err := v.Verify(t.Context(), token)
		if (err == nil) != step.ok {
			t.Errorf("after %v: %v", step.add, err)
		}
	}
	_, err := v.Verify(t.Context(), token)
	mustFail(t, err, codes.Unauthenticated, ReasonTokenExpired)
}

// answers is a source that counts.
type answers struct {
	mu    sync.Mutex
	keys  []Key
	err   error
	asked int
}

func (a *answers) Keys(context.Context) ([]Key, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	return a.keys, a.err
}

func (a *answers) set(err error, keys ...Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys, a.err = keys, err
}

func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func TestKeysAreKept(t *testing.T) {
	s, next := newSigner(t), newSigner(t)
	source := &answers{keys: []Key{{"k1", s.public}}}
	v := s.verifier(t, source)
	verify := func() error {
		_, err := v.Verify(t.Context(), s.sign(t, s.claims()))
		return err
	}
	// Many at once ask once.
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := verify(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := source.count(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// A key that appears is found, but unknown names are no way to make us ask at will.
	fresh := func() error {
		_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodEdDSA, next.private, map[string]any{"kid": "k2"}, s.claims()))
		return err
	}
	source.set(nil, Key{"k1", s.public}, Key{"k2", next.public})
	for range 10 {
		mustFail(t, fresh(), codes.Unauthenticated, ReasonTokenInvalid)
	}
	if n := source.count(); n != 1 {
		t.Errorf("asked %d times within the interval", n)
	}
	s.clock.add(5 * time.Second)
	if err := fresh(); err != nil {
		t.Error(err)
	}
	// A source that is away: the old keys go on, for a day.
	source.set(errors.New("away"))
	s.clock.add(10 * time.Minute)
	before := source.count()
	if err := verify(); err != nil {
		t.Error(err)
	}
	eventually(t, func() bool { return source.count() > before })
	s.clock.add(23 * time.Hour)
	if err := verify(); err != nil {
		t.Error(err)
	}
	s.clock.add(time.Hour)
	mustFail(t, verify(), codes.Unavailable, ReasonKeysUnavailable)
	// And back again, without the old key.
	source.set(nil, Key{"k2", next.public})
	s.clock.add(5 * time.Second)
	if err := fresh(); err != nil {
		t.Error(err)
	}
	mustFail(t, verify(), codes.Unauthenticated, ReasonTokenInvalid)
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatal("it didn't come to that")
}

func TestABadSourceSpoilsNothing(t *testing.T) {
	s := newSigner(t)
	k := Key{"k1", s.public}
	for name, keys := range map[string][]Key{"none": nil, "short": {k, {"k2", s.public[:31]}}, "twice": {k, k}, "nameless": {{"", s.public}}, "many": make([]Key, 101)} {
		source := &answers{keys: []Key{k}}
		v := s.verifier(t, source)
		token := s.sign(t, s.claims())
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		source.set(nil, keys...)
		s.clock.add(11 * time.Minute)
		token = s.sign(t, s.claims())
		for range 2 {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			eventually(t, func() bool { return source.count() == 2 })
		}
	}
}

// A caller that goes away doesn't wait, and doesn't spoil it for others.
func TestTheCallerGoesAway(t *testing.T) {
	s := newSigner(t)
	let := make(chan struct{})
	v := s.verifier(t, KeySourceFunc(func(context.Context) ([]Key, error) {
		<-let
		return []Key{{"k1", s.public}}, nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Verify(ctx, s.sign(t, s.claims()))
	mustFail(t, err, codes.Unavailable, ReasonKeysUnavailable)
	close(let)
	if _, err := v.Verify(t.Context(), s.sign(t, s.claims())); err != nil {
		t.Error(err)
	}
}

type request struct {
	server.Request
	endpoint string
}

func (r request) Endpoint() string { return r.endpoint }

func TestWrapper(t *testing.T) {
	s := newSigner(t)
	v := s.verifier(t, Static(Key{"k1", s.public}))
	var who Identity
	var known bool
	handler := Wrapper(v, "Customer.Login")(func(ctx context.Context, _ server.Request, _ any) error {
		who, known = From(ctx)
		return nil
	})
	call := func(endpoint, header string) error {
		who, known = Identity{}, false
		return handler(metadata.NewContext(t.Context(), metadata.Metadata{Header: header}), request{endpoint: endpoint}, nil)
	}
	right := s.sign(t, s.claims())
	for _, h := range []string{"Bearer " + right, "bearer " + right, "BEARER  " + right} {
		if err := call("Order.GetOrder", h); err != nil || who.Subject != "c1" {
			t.Errorf("%v, %v", who, err)
		}
	}
	if err := call("Customer.Login", "Bearer stale"); err != nil || known {
		t.Errorf("a public endpoint: %v, %v", who, err)
	}
	for _, h := range []string{"", "Bearer", "Bearer ", right, "Basic " + right} {
		mustFail(t, call("Order.GetOrder", h), codes.Unauthenticated, ReasonTokenMissing)
	}
	mustFail(t, call("Order.GetOrder", "Bearer x"+right), codes.Unauthenticated, ReasonTokenInvalid)
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{{}, {Issuer: "i", Audience: "a"}, {Issuer: "i", Keys: Static()}, {Audience: "a", Keys: Static()}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
