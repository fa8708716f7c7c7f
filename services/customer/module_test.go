package customer_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

const password = "correct horse battery"

// cheap makes a hash in no time: what is tested here is not argon2.
func cheap() customer.Config {
	return customer.Config{Hash: customer.HashParams{Memory: 64, Time: 1, Threads: 1}, TendEvery: 200 * time.Millisecond}
}

// clock is the module's, and stands still until it is moved; the rest of the host has the real one.
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

// logs is a log that can be read while it is written.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// office is the module, run by a host and called as others call it.
type office struct {
	customerv1.CustomerService
	db    *sql.DB
	clock *clock
	log   *logs

	mu     sync.Mutex
	events []proto.Message
}

// TestModule runs the real module in a real host on every database, and calls it over the network.
func TestModule(t *testing.T) {
	for name, c := range map[string]func(t *testing.T) host.Config{
		"sqlite":   func(t *testing.T) host.Config { return host.Config{DataDir: t.TempDir()} },
		"postgres": func(t *testing.T) host.Config { return host.Config{DataURL: datatest.PostgresURL(t, customer.Name)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := open(t, c(t), cheap())
			t.Run("a customer's life", o.life)
			t.Run("addresses", o.addresses)
			t.Run("roles", o.roles)
			t.Run("who calls", o.whoCalls)
			t.Run("registration", o.registration)
			t.Run("nobody is told who is there", o.enumeration)
			t.Run("a forgotten password", o.reset)
			t.Run("sessions", o.sessions)
			t.Run("a refresh token works once", o.refreshOnce)
			t.Run("many sessions", o.manySessions)
			t.Run("guessing", o.guessing)
			t.Run("guessing at once", o.guessingAtOnce)
			t.Run("mail", o.tooMuchMail)
			t.Run("erasure", o.erasure)
			t.Run("keys", o.keySet)
			t.Run("secrets", o.secrets)
			t.Run("what has expired", o.sweep)
		})
	}
}

// open starts the module on a real broker.
func open(t *testing.T, hc host.Config, c customer.Config) *office {
	t.Helper()
	nats, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Shutdown)
	b, err := events.NewJetStream(events.JetStreamConfig{URL: nats.URL(), Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	cleanup(t, b.Disconnect)
	o := &office{clock: &clock{at: time.Now()}, log: &logs{}}
	hear[*customerv1.CustomerRegistered](t, b, o)
	hear[*customerv1.RegistrationRepeated](t, b, o)
	hear[*customerv1.PasswordResetRequested](t, b, o)
	hear[*customerv1.CustomerErased](t, b, o)

	m := customer.Module(c)
	start := m.Start
	m.Start = func(ctx context.Context, d host.Deps, s server.Server) (func(context.Context) error, error) {
		o.db, d.Now = d.DB, o.clock.now
		return start(ctx, d, s)
	}
	hc.Modules, hc.Registry, hc.Broker, hc.DrainWait = []host.Module{m}, registry.NewMemoryRegistry(), b, time.Millisecond
	hc.Watch = rpc.Watched(t)
	hc.Log = slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h, err := host.New(hc)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cleanup(t, func() error { return h.Shutdown(context.Background()) })
	o.CustomerService = customerv1.NewCustomerService(customer.Name, h.Client())
	return o
}

func cleanup(t *testing.T, stop func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func hear[M proto.Message](t *testing.T, b broker.Broker, o *office) {
	t.Helper()
	sub, err := events.Subscribe(b, "mail", func(_ context.Context, m M) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.events = append(o.events, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cleanup(t, sub.Unsubscribe)
}

// heard waits for the nth event of a kind that is about an address (an id, for an erasure), and returns it.
func heard[M proto.Message](t *testing.T, o *office, about string, nth int) M {
	t.Helper()
	var got M
	eventually(t, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		n := 0
		for _, e := range o.events {
			m, ok := e.(M)
			if !ok || !strings.Contains(any(m).(interface{ String() string }).String(), about) {
				continue
			}
			if n++; n == nth {
				got = m
				return true
			}
		}
		return false
	})
	return got
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatal("it didn't come to that")
}

// newEmail is an address that nobody has.
func newEmail() string { return uuid.NewString() + "@example.com" }

func (o *office) register(t *testing.T, email, password string) {
	t.Helper()
	in := &customerv1.RegisterCustomerRequest{Email: email, Password: password, Name: "Ada", Locale: "de-AT"}
	if _, err := o.RegisterCustomer(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// join registers and verifies.
func (o *office) join(t *testing.T, email string) *customerv1.Account {
	t.Helper()
	o.register(t, email, password)
	e := heard[*customerv1.CustomerRegistered](t, o, strings.ToLower(email), 1)
	a, err := o.VerifyEmail(t.Context(), &customerv1.VerifyEmailRequest{Token: e.GetVerificationToken()})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (o *office) login(ctx context.Context, email, password string) (*customerv1.Session, error) {
	return o.Login(ctx, &customerv1.LoginRequest{Email: email, Password: password})
}

func (o *office) refresh(ctx context.Context, token string) (*customerv1.Session, error) {
	return o.RefreshSession(ctx, &customerv1.RefreshSessionRequest{RefreshToken: token})
}

// member is a customer who is logged in.
type member struct {
	id, email string
	session   *customerv1.Session
}

func (o *office) member(t *testing.T) member {
	t.Helper()
	email := newEmail()
	a := o.join(t, email)
	s, err := o.login(t.Context(), email, password)
	if err != nil {
		t.Fatal(err)
	}
	return member{a.GetId(), email, s}
}

func (o *office) admin(t *testing.T) member {
	t.Helper()
	m := o.member(t)
	if _, err := o.AppointAdmin(t.Context(), &customerv1.AppointAdminRequest{Email: m.email}); err != nil {
		t.Fatal(err)
	}
	return m
}

// as is the context of a call that carries a member's access token.
func (m member) as(ctx context.Context) context.Context {
	return bearer(ctx, m.session.GetAccessToken())
}

func bearer(ctx context.Context, token string) context.Context {
	return metadata.MergeContext(ctx, metadata.Metadata{"Authorization": "Bearer " + token}, true)
}

func from(ctx context.Context, ip string) context.Context {
	return metadata.MergeContext(ctx, metadata.Metadata{"X-Forwarded-For": ip}, true)
}

func second[T any](_ T, err error) error { return err }

func wantErr(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %v %s", err, code, reason)
	}
}

func TestAWrongSecretIsSeenAtTheStart(t *testing.T) {
	dir := t.TempDir()
	start := func(secret string) error {
		c := cheap()
		c.Secret = secret
		b := broker.NewMemoryBroker()
		if err := b.Connect(); err != nil {
			t.Fatal(err)
		}
		h, err := host.New(host.Config{
			Modules: []host.Module{customer.Module(c)}, Registry: registry.NewMemoryRegistry(), Broker: b, DataDir: dir,
			Log: slog.New(slog.DiscardHandler), DrainWait: time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		err = h.Start(t.Context())
		return errors.Join(err, h.Shutdown(context.Background()), b.Disconnect())
	}
	secret := strings.Repeat("s", 32)
	for _, step := range []struct {
		secret string
		ok     bool
	}{{"", true}, {secret[1:], false}, {secret, true}, {secret, true}} {
		if err := start(step.secret); (err == nil) != step.ok || err != nil && step.secret != "" && strings.Contains(err.Error(), step.secret) {
			t.Errorf("secret %q: %v", step.secret, err)
		}
	}
}

// Two instances share a database: each takes the other's tokens, and what one has begun the other goes on with. One of them is newer and
// hashes better: an account's hash is made anew at its next login there, and both still know the password.
func TestTwoInstances(t *testing.T) {
	for name, hc := range map[string]host.Config{
		"sqlite": {DataDir: t.TempDir()}, "postgres": {DataURL: datatest.PostgresURL(t, customer.Name)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grown := cheap()
			grown.Hash.Time, grown.Secret = 2, strings.Repeat("s", 32)
			old, newer := open(t, hc, cheap()), open(t, hc, grown)
			ctx, me := t.Context(), old.member(t)
			hash := func() string {
				var h string
				if err := old.db.QueryRowContext(ctx, "SELECT password_hash FROM customer WHERE id = $1", me.id).Scan(&h); err != nil {
					t.Fatal(err)
				}
				return h
			}
			before := hash()
			wantErr(t, second(newer.login(ctx, me.email, "wrong")), codes.Unauthenticated, customer.ReasonLoginFailed)
			if hash() != before {
				t.Error("a failed login changed the hash")
			}
			for _, o := range []*office{old, newer, old, newer} {
				s, err := o.login(ctx, me.email, password)
				if err != nil {
					t.Fatal(err)
				}
				for _, other := range []*office{old, newer} {
					if _, err := other.GetCustomer(bearer(ctx, s.GetAccessToken()), &customerv1.GetCustomerRequest{CustomerId: me.id}); err != nil {
						t.Error(err)
					}
				}
				if s, err = old.refresh(ctx, s.GetRefreshToken()); err != nil {
					t.Fatal(err)
				}
				if _, err = newer.refresh(ctx, s.GetRefreshToken()); err != nil {
					t.Error(err)
				}
			}
			if h := hash(); !strings.Contains(before, "t=1,") || !strings.Contains(h, "t=2,") {
				t.Errorf("from %s to %s", before, h)
			}
		})
	}
}
