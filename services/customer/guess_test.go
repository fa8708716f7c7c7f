package customer_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer"
)

// Two people register one address; the one who reads its mail gets the account, with the password that belongs to their own token.
func (o *office) registration(t *testing.T) {
	ctx, email := t.Context(), newEmail()
	o.register(t, email, "the thief's password")
	thief := heard[*customerv1.CustomerRegistered](t, o, email, 1)
	o.register(t, email, "the owner's password")
	owner := heard[*customerv1.CustomerRegistered](t, o, email, 2)
	if thief.GetVerificationToken() == owner.GetVerificationToken() || thief.GetCustomerId() == owner.GetCustomerId() || owner.GetName() != "Ada" ||
		owner.GetTokenExpireTime().AsTime().Sub(o.clock.now()) < 23*time.Hour {
		t.Errorf("%v\n%v", thief, owner)
	}
	verify := func(e *customerv1.CustomerRegistered) (*customerv1.Account, error) {
		return o.VerifyEmail(ctx, &customerv1.VerifyEmailRequest{Token: e.GetVerificationToken()})
	}
	wantErr(t, second(o.login(ctx, email, "the owner's password")), codes.Unauthenticated, customer.ReasonLoginFailed)
	if a, err := verify(owner); err != nil || a.GetId() != owner.GetCustomerId() {
		t.Fatalf("%v, %v", a, err)
	}
	wantErr(t, second(verify(owner)), codes.FailedPrecondition, customer.ReasonTokenInvalid)
	wantErr(t, second(verify(thief)), codes.FailedPrecondition, customer.ReasonTokenInvalid)
	wantErr(t, second(o.login(ctx, email, "the thief's password")), codes.Unauthenticated, customer.ReasonLoginFailed)
	if _, err := o.login(ctx, email, "the owner's password"); err != nil {
		t.Error(err)
	}
	// Both at once: there is one account, and one of them has it.
	race := newEmail()
	o.register(t, race, password)
	o.register(t, race, password)
	var made atomic.Int64
	var all sync.WaitGroup
	for n := range 8 {
		e := heard[*customerv1.CustomerRegistered](t, o, race, 1+n%2)
		all.Go(func() {
			if _, err := verify(e); err == nil {
				made.Add(1)
			} else {
				wantErr(t, err, codes.FailedPrecondition, customer.ReasonTokenInvalid)
			}
		})
	}
	all.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("%d accounts of one address", n)
	}
	// A token that is too old.
	late := newEmail()
	o.register(t, late, password)
	e := heard[*customerv1.CustomerRegistered](t, o, late, 1)
	o.clock.add(24 * time.Hour)
	wantErr(t, second(verify(e)), codes.FailedPrecondition, customer.ReasonTokenInvalid)
	// What the contract refuses.
	for field, in := range map[string]*customerv1.RegisterCustomerRequest{
		"email":    {Email: "nobody", Password: password, Name: "Ada"},
		"password": {Email: late, Password: "short", Name: "Ada"},
		"name":     {Email: late, Password: password},
		"locale":   {Email: late, Password: password, Name: "Ada", Locale: "Deutsch!"},
	} {
		_, err := o.RegisterCustomer(ctx, in)
		if p := problem.From(err); p == nil || len(p.Fields) != 1 || p.Fields[0].Path != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	_, err := o.RegisterCustomer(ctx, &customerv1.RegisterCustomerRequest{Email: late, Password: strings.ToUpper(late), Name: "Ada"})
	wantErr(t, err, codes.InvalidArgument, "INVALID_FIELDS")
}

// An address that has an account, one that is being registered and one that nobody knows are answered alike, to the letter.
func (o *office) enumeration(t *testing.T) {
	ctx, me, pending := t.Context(), o.member(t), newEmail()
	o.register(t, pending, password)
	answers := func(email string) []string {
		var out []string
		say := func(m interface{ String() string }, err error) {
			text := m.String()
			if p := problem.From(err); p != nil {
				text = p.Error() + p.Reason
			}
			out = append(out, text)
		}
		r, err := o.RegisterCustomer(ctx, &customerv1.RegisterCustomerRequest{Email: email, Password: password, Name: "Eve"})
		say(r, err)
		s, err := o.login(ctx, email, "some other password")
		say(s, err)
		p, err := o.RequestPasswordReset(ctx, &customerv1.RequestPasswordResetRequest{Email: email})
		say(p, err)
		return out
	}
	nobody := strings.Join(answers(newEmail()), "\n")
	for _, email := range []string{me.email, pending} {
		if got := strings.Join(answers(email), "\n"); got != nobody {
			t.Errorf("%s\nis not\n%s", got, nobody)
		}
	}
	// With the right password of a registration, which only its maker knows, neither: it would say that the address was free.
	wantErr(t, second(o.login(ctx, pending, password)), codes.Unauthenticated, customer.ReasonLoginFailed)
	// The owner is told, and nothing has changed.
	if e := heard[*customerv1.RegistrationRepeated](t, o, me.email, 1); e.GetCustomerId() != me.id || e.GetName() != "Ada" {
		t.Errorf("got %v", e)
	}
	if a, err := o.GetCustomer(me.as(ctx), &customerv1.GetCustomerRequest{CustomerId: me.id}); err != nil || a.GetName() != "Ada" {
		t.Errorf("%v, %v", a, err)
	}
}

func (o *office) guessing(t *testing.T) {
	ctx, me := t.Context(), o.member(t)
	guess := func(ctx context.Context, email, password string) error { return second(o.login(ctx, email, password)) }
	blocked := func(err error) bool {
		return problem.From(err) != nil && problem.From(err).Code == codes.ResourceExhausted
	}
	// Of an address, whether it has an account or not: five for nothing, and then ever slower.
	for _, email := range []string{me.email, newEmail()} {
		for range 5 {
			wantErr(t, guess(ctx, email, "wrong"), codes.Unauthenticated, customer.ReasonLoginFailed)
		}
		for wait := time.Second; wait < 15*time.Minute; wait *= 2 {
			wantErr(t, guess(ctx, email, password), codes.ResourceExhausted, customer.ReasonTooManyAttempts)
			o.clock.add(wait)
			wantErr(t, guess(ctx, email, "wrong"), codes.Unauthenticated, customer.ReasonLoginFailed)
		}
		o.clock.add(15*time.Minute - time.Second)
		wantErr(t, guess(ctx, email, password), codes.ResourceExhausted, customer.ReasonTooManyAttempts)
		o.clock.add(time.Second)
		if email == me.email { // the right one is let in, and all is forgotten
			for range 7 {
				if err := guess(ctx, email, password); err != nil {
					t.Error(err)
				}
			}
		}
	}
	// Of a source: twenty, whatever addresses it tries; its own logins in between are no help to it, and others aren't hindered.
	ip := from(ctx, "10.0.0.1, 2001:db8:1:2:3:4:5:6")
	for n := range 20 {
		if err := guess(ip, newEmail(), "wrong"); blocked(err) {
			t.Fatalf("after %d: %v", n, err)
		}
		if n == 10 {
			if err := guess(ip, me.email, password); err != nil {
				t.Fatal(err)
			}
		}
	}
	neighbour := from(ctx, "2001:db8:1:2::99")
	wantErr(t, guess(neighbour, me.email, password), codes.ResourceExhausted, customer.ReasonTooManyAttempts)
	if err := guess(from(ctx, "2001:db8:1:3::99"), me.email, password); err != nil {
		t.Error(err)
	}
	o.clock.add(time.Second)
	if err := guess(neighbour, me.email, password); err != nil {
		t.Error(err)
	}
}

// Many guesses that are made at once are counted as if they were made in turn.
func (o *office) guessingAtOnce(t *testing.T) {
	ctx, me := t.Context(), o.member(t)
	var looked atomic.Int64
	var all sync.WaitGroup
	for range 24 {
		all.Go(func() {
			_, err := o.login(ctx, me.email, "wrong")
			if p := problem.From(err); p != nil && p.Reason == customer.ReasonLoginFailed {
				looked.Add(1)
			} else if p == nil || p.Reason != customer.ReasonTooManyAttempts {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := looked.Load(); n != 5 {
		t.Errorf("%d guesses were looked at", n)
	}
}

func (o *office) tooMuchMail(t *testing.T) {
	ctx, me := t.Context(), o.member(t)
	register := func(ctx context.Context, email string) error {
		return second(o.RegisterCustomer(ctx, &customerv1.RegisterCustomerRequest{Email: email, Password: password, Name: "Eve"}))
	}
	ask := func(ctx context.Context, email string) error {
		return second(o.RequestPasswordReset(ctx, &customerv1.RequestPasswordResetRequest{Email: email}))
	}
	for _, call := range []func(context.Context, string) error{register, ask} {
		for _, email := range []string{me.email, newEmail()} {
			o.clock.add(25 * time.Hour)
			for range 3 {
				if err := call(ctx, email); err != nil {
					t.Error(err)
				}
			}
			wantErr(t, call(ctx, email), codes.ResourceExhausted, customer.ReasonTooManyAttempts)
			o.clock.add(time.Minute)
			if err := call(ctx, email); err != nil {
				t.Error(err)
			}
			o.clock.add(time.Minute)
			wantErr(t, call(ctx, email), codes.ResourceExhausted, customer.ReasonTooManyAttempts)
		}
		ip := from(ctx, "192.0.2.7")
		for range 20 {
			if err := call(ip, newEmail()); err != nil {
				t.Error(err)
			}
		}
		wantErr(t, call(ip, newEmail()), codes.ResourceExhausted, customer.ReasonTooManyAttempts)
	}
	// Mail that can't be asked for is no reason not to log in.
	if _, err := o.login(ctx, me.email, password); err != nil {
		t.Error(err)
	}
}
