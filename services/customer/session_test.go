package customer_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer"
)

// chain is what the model knows of a session: the tokens that were given, in order, and whether it lives.
type chain struct {
	tokens []string
	alive  bool
}

// Whatever is logged in, refreshed, replayed and logged out in whatever order: a refresh token works at most once, and only the last one
// of a living session works.
func (o *office) sessions(t *testing.T) {
	me, ctx := o.member(t), t.Context()
	rapid.Check(t, func(t *rapid.T) {
		var chains []*chain
		pick := func() (*chain, int) {
			c := rapid.SampledFrom(chains).Draw(t, "session")
			return c, rapid.IntRange(0, len(c.tokens)-1).Draw(t, "token")
		}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			what := rapid.IntRange(0, 9).Draw(t, "what")
			switch {
			case what == 0 || len(chains) == 0:
				s, err := o.login(ctx, me.email, password)
				if err != nil {
					t.Fatal(err)
				}
				chains = append(chains, &chain{[]string{s.GetRefreshToken()}, true})
			case what == 1:
				c, n := pick()
				if _, err := o.Logout(ctx, &customerv1.LogoutRequest{RefreshToken: c.tokens[n]}); err != nil {
					t.Fatal(err)
				}
				c.alive = false
			default:
				c, n := pick()
				if what < 7 { // mostly as an honest client does
					n = len(c.tokens) - 1
				}
				s, err := o.refresh(ctx, c.tokens[n])
				if should := c.alive && n == len(c.tokens)-1; (err == nil) != should {
					t.Fatalf("token %d of %d of a session that lives (%v): %v", n+1, len(c.tokens), c.alive, err)
				}
				if err != nil {
					if p := problem.From(err); p.Reason != customer.ReasonSessionInvalid {
						t.Fatal(err)
					}
					c.alive = false
					continue
				}
				c.tokens = append(c.tokens, s.GetRefreshToken())
			}
		}
		// In the end only the last ones of the living are good, and they are.
		for _, c := range chains {
			if _, err := o.refresh(ctx, c.tokens[len(c.tokens)-1]); (err == nil) != c.alive {
				t.Fatalf("a session that lives (%v): %v", c.alive, err)
			}
		}
	})
}

// Of many that bring the same token at once one gets the next, at most: the others end the session.
func (o *office) refreshOnce(t *testing.T) {
	me, ctx := o.member(t), t.Context()
	var good atomic.Int64
	var next atomic.Value
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, err := o.refresh(ctx, me.session.GetRefreshToken())
			if err == nil {
				good.Add(1)
				next.Store(s.GetRefreshToken())
				return
			}
			wantErr(t, err, codes.Unauthenticated, customer.ReasonSessionInvalid)
		})
	}
	all.Wait()
	if n := good.Load(); n != 1 {
		t.Fatalf("the token worked %d times", n)
	}
	wantErr(t, second(o.refresh(ctx, next.Load().(string))), codes.Unauthenticated, customer.ReasonSessionInvalid)
}

// The 51st session ends the first, and only that. A session ends when it is idle for 30 days, and after 180 days whatever it does.
func (o *office) manySessions(t *testing.T) {
	me, ctx := o.member(t), t.Context()
	given := []string{me.session.GetRefreshToken()}
	for range 50 {
		s, err := o.login(ctx, me.email, password)
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, s.GetRefreshToken())
	}
	wantErr(t, second(o.refresh(ctx, given[0])), codes.Unauthenticated, customer.ReasonSessionInvalid)
	s, err := o.refresh(ctx, given[1])
	if err != nil {
		t.Fatal(err)
	}
	for day := 29; day < 180; day += 29 {
		o.clock.add(29 * 24 * time.Hour)
		if s, err = o.refresh(ctx, s.GetRefreshToken()); err != nil {
			t.Fatalf("day %d: %v", day, err)
		}
	}
	if left := s.GetRefreshExpireTime().AsTime().Sub(o.clock.now()); left > 6*24*time.Hour {
		t.Errorf("%v left after 174 days", left)
	}
	wantErr(t, second(o.refresh(ctx, given[2])), codes.Unauthenticated, customer.ReasonSessionInvalid)
	o.clock.add(6 * 24 * time.Hour)
	wantErr(t, second(o.refresh(ctx, s.GetRefreshToken())), codes.Unauthenticated, customer.ReasonSessionInvalid)
}

func (o *office) reset(t *testing.T) {
	me, ctx := o.member(t), t.Context()
	ask := func() {
		t.Helper()
		if _, err := o.RequestPasswordReset(ctx, &customerv1.RequestPasswordResetRequest{Email: me.email}); err != nil {
			t.Fatal(err)
		}
	}
	set := func(token, password string) error {
		return second(o.ResetPassword(ctx, &customerv1.ResetPasswordRequest{Token: token, NewPassword: password}))
	}
	ask()
	ask()
	first := heard[*customerv1.PasswordResetRequested](t, o, me.email, 1)
	other := heard[*customerv1.PasswordResetRequested](t, o, me.email, 2)
	if first.GetCustomerId() != me.id || first.GetLocale() != "de-AT" || first.GetTokenExpireTime().AsTime().Sub(o.clock.now()) < 59*time.Minute {
		t.Errorf("got %v", first)
	}
	wantErr(t, set(first.GetResetToken(), me.email), codes.InvalidArgument, "INVALID_FIELDS")
	// The first link still works when a second one was asked for; then neither does.
	if err := set(first.GetResetToken(), "another password"); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*customerv1.PasswordResetRequested{first, other} {
		wantErr(t, set(e.GetResetToken(), password), codes.FailedPrecondition, customer.ReasonTokenInvalid)
	}
	wantErr(t, second(o.refresh(ctx, me.session.GetRefreshToken())), codes.Unauthenticated, customer.ReasonSessionInvalid)
	wantErr(t, second(o.login(ctx, me.email, password)), codes.Unauthenticated, customer.ReasonLoginFailed)
	if _, err := o.login(ctx, me.email, "another password"); err != nil {
		t.Error(err)
	}
	ask()
	third := heard[*customerv1.PasswordResetRequested](t, o, me.email, 3)
	o.clock.add(time.Hour)
	wantErr(t, set(third.GetResetToken(), password), codes.FailedPrecondition, customer.ReasonTokenInvalid)

	// Of many at once with one token one sets the password.
	o.clock.add(24 * time.Hour)
	ask()
	fourth := heard[*customerv1.PasswordResetRequested](t, o, me.email, 4).GetResetToken()
	var good atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if set(fourth, "yet another password") == nil {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if n := good.Load(); n != 1 {
		t.Errorf("the token worked %d times", n)
	}
}

// What has expired is gone from the database, and what hasn't is there.
func (o *office) sweep(t *testing.T) {
	me := o.member(t)
	o.register(t, newEmail(), password)
	if _, err := o.RequestPasswordReset(t.Context(), &customerv1.RequestPasswordResetRequest{Email: me.email}); err != nil {
		t.Fatal(err)
	}
	count := func() []int {
		var out []int
		for _, table := range []string{"registration", "password_reset", "attempt", "session", "refresh_token"} {
			var n int
			if err := o.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			out = append(out, n)
		}
		return out
	}
	if n := count(); slices.Contains(n, 0) {
		t.Fatalf("there is nothing to sweep: %v", n)
	}
	o.clock.add(25 * time.Hour)
	eventually(t, func() bool { n := count(); return n[0]+n[1]+n[2] == 0 })
	if n := count(); n[3] == 0 || n[4] == 0 {
		t.Errorf("a living session is gone: %v", n)
	}
	if _, err := o.refresh(t.Context(), me.session.GetRefreshToken()); err != nil {
		t.Error(err)
	}
	o.clock.add(31 * 24 * time.Hour)
	eventually(t, func() bool { n := count(); return n[3]+n[4] == 0 })
}
