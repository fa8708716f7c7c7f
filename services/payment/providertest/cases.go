package providertest

import (
	"context"
	"errors"
	"sync"

	"github.com/cleavehq/cleave/services/payment/provider"
)

func approves(s suite) {
	key := s.key()
	ref := s.hold(key)
	if got := s.wantState(key, provider.Held); got.Ref != ref || got.Amount != s.amount() || got.Captured != 0 {
		s.Fatalf("lookup says %+v of the hold %q", got, ref)
	}
}

func holdsOncePerKey(s suite) {
	key := s.key()
	if a, b := s.hold(key), s.hold(key); a != b {
		s.Fatalf("two holds, %s and %s, for one key", a, b)
	}
}

func holdsOnceConcurrently(s suite) {
	key := s.key()
	refs, errs := make([]string, 16), make([]error, 16)
	var wg sync.WaitGroup
	for i := range refs {
		wg.Go(func() {
			a, err := s.authorize(key, s.c.Approved)
			refs[i], errs[i] = a.Ref, err
		})
	}
	wg.Wait()
	for i := range refs {
		s.must(errs[i])
		if refs[i] != refs[0] {
			s.Fatalf("two holds, %s and %s, for one key", refs[0], refs[i])
		}
	}
}

func holdsPerKey(s suite) {
	if a, b := s.hold(s.key()), s.hold(s.key()); a == b {
		s.Fatalf("one hold, %s, for two keys", a)
	}
}

func keepsFirstOutcome(s suite) {
	approved, declined := s.key(), s.key()
	ref := s.hold(approved)
	a, err := s.authorize(approved, s.c.Declined)
	s.must(err)
	if a.Ref != ref {
		s.Fatalf("the first answer was the hold %s, the second %s", ref, a.Ref)
	}
	_, err = s.authorize(declined, s.c.Declined)
	s.wantDecline(err)
	_, err = s.authorize(declined, s.c.Approved)
	s.wantDecline(err)
}

func refusesOtherAmount(s suite) {
	key := s.key()
	s.hold(key)
	for _, m := range []provider.Money{{Currency: "EUR", Minor: 2000}, {Currency: "USD", Minor: 1999}} {
		_, err := s.p.Authorize(s.ctx, provider.Request{IdempotencyKey: key, Order: s.order(key), Amount: m, Token: s.c.Approved})
		s.wantIs(err, provider.ErrKeyReused)
	}
	s.wantState(key, provider.Held)
}

func declines(s suite) {
	key := s.key()
	for range 2 {
		_, err := s.authorize(key, s.c.Declined)
		s.wantDecline(err)
	}
	if got := s.wantState(key, provider.Declined); got.DeclineCode != s.c.DeclineCode || got.Ref != "" {
		s.Fatalf("lookup says %+v, want the code %q and no ref", got, s.c.DeclineCode)
	}
}

func (s suite) wantDecline(err error) {
	s.Helper()
	var d *provider.Decline
	if !errors.As(err, &d) {
		s.Fatalf("error is %v, want a decline", err)
	}
	if d.Code != s.c.DeclineCode {
		s.Fatalf("declined with %q, want %q", d.Code, s.c.DeclineCode)
	}
}

func capturesOnce(s suite) {
	key := s.key()
	ref := s.hold(key)
	for range 2 {
		s.must(s.p.Capture(s.ctx, ref, key+":capture"))
	}
	s.wantState(key, provider.Captured)
	if again := s.hold(key); again != ref {
		s.Fatalf("after the capture the key made another hold, %s", again)
	}
	s.wantState(key, provider.Captured)
}

func voidsOnce(s suite) {
	key := s.key()
	ref := s.hold(key)
	for range 2 {
		s.must(s.p.Void(s.ctx, ref, key+":void"))
	}
	s.wantState(key, provider.Voided)
	if again := s.hold(key); again != ref {
		s.Fatalf("after the void the key made another hold, %s", again)
	}
	s.wantState(key, provider.Voided)
}

func captureAfterVoid(s suite) {
	key := s.key()
	ref := s.hold(key)
	s.must(s.p.Void(s.ctx, ref, key+":void"))
	s.wantIs(s.p.Capture(s.ctx, ref, key+":capture"), provider.ErrVoided)
	s.wantState(key, provider.Voided)
}

func voidAfterCapture(s suite) {
	key := s.key()
	ref := s.hold(key)
	s.must(s.p.Capture(s.ctx, ref, key+":capture"))
	s.wantIs(s.p.Void(s.ctx, ref, key+":void"), provider.ErrCaptured)
	s.wantState(key, provider.Captured)
}

func capturesOrVoids(s suite) {
	for range 20 {
		key := s.key()
		ref := s.hold(key)
		var captured, voided error
		var wg sync.WaitGroup
		wg.Go(func() { captured = s.p.Capture(s.ctx, ref, key+":capture") })
		wg.Go(func() { voided = s.p.Void(s.ctx, ref, key+":void") })
		wg.Wait()
		switch {
		case captured == nil && errors.Is(voided, provider.ErrCaptured):
			s.wantState(key, provider.Captured)
		case voided == nil && errors.Is(captured, provider.ErrVoided):
			s.wantState(key, provider.Voided)
		default:
			s.Fatalf("at the same time: capture %v, void %v", captured, voided)
		}
	}
}

func unknownKey(s suite) {
	if got := s.wantState(s.key(), provider.Unknown); got.Amount.Minor != 0 || got.Captured != 0 || got.Refunded != 0 || got.DeclineCode != "" {
		s.Fatalf("lookup of an unknown key says %+v", got)
	}
}

func unknownRef(s suite) {
	s.wantIs(s.p.Capture(s.ctx, s.c.UnknownRef, s.key()), provider.ErrUnknownRef)
	s.wantIs(s.p.Void(s.ctx, s.c.UnknownRef, s.key()), provider.ErrUnknownRef)
	s.wantIs(s.p.Refund(s.ctx, s.c.UnknownRef, s.key(), s.amount()), provider.ErrUnknownRef)
}

func goneAway(s suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	key := s.key()
	r := provider.Request{IdempotencyKey: key, Order: s.order(key), Amount: s.amount(), Token: s.c.Approved}
	if _, err := s.p.Authorize(ctx, r); err == nil {
		s.Fatal("no error for a caller that had gone away before it called")
	}
	s.hold(key) // and the key is as good as new
}
