package providertest

import (
	"errors"
	"sync"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// taken makes a hold, takes it and returns its ref.
func (s suite) taken(key string) string {
	s.Helper()
	ref := s.hold(key)
	s.must(s.p.Capture(s.ctx, ref, key+":capture"))
	return ref
}

func (s suite) refund(ref, key string, minor int64) error {
	return s.p.Refund(s.ctx, ref, key, provider.Money{Currency: "EUR", Minor: minor})
}

func (s suite) wantRefused(err error) {
	s.Helper()
	var d *provider.Decline
	if !errors.As(err, &d) || d.Code == "" {
		s.Fatalf("error is %v, want a decline with a code", err)
	}
}

func (s suite) wantRefunded(key string, refunds map[string]int64) {
	s.Helper()
	got := s.wantState(key, provider.Captured)
	sum := int64(0)
	for k, minor := range refunds {
		sum += minor
		if got.Refunds[k] != minor {
			s.Fatalf("lookup says %v of the refunds, want %v", got.Refunds, refunds)
		}
	}
	if len(got.Refunds) != len(refunds) || got.Refunded != sum || got.Captured != s.amount().Minor {
		s.Fatalf("lookup says %+v, want the refunds %v", got, refunds)
	}
}

func refundsOnce(s suite) {
	key, back := s.key(), s.key()
	ref := s.taken(key)
	for range 2 {
		s.must(s.refund(ref, back, 500))
	}
	s.wantRefunded(key, map[string]int64{back: 500})
	s.must(s.p.Capture(s.ctx, ref, key+":capture"))
	s.wantIs(s.p.Void(s.ctx, ref, key+":void"), provider.ErrCaptured)
	s.wantRefunded(key, map[string]int64{back: 500})
}

func refundsInParts(s suite) {
	key, all := s.key(), map[string]int64{}
	ref := s.taken(key)
	for _, minor := range []int64{500, 500, 999} {
		back := s.key()
		s.must(s.refund(ref, back, minor))
		all[back] = minor
		s.wantRefunded(key, all)
	}
}

func neverRefundsMore(s suite) {
	key, back, more := s.key(), s.key(), s.key()
	ref := s.taken(key)
	s.wantRefused(s.refund(ref, s.key(), 2000))
	s.must(s.refund(ref, back, 1500))
	for range 2 {
		s.wantRefused(s.refund(ref, more, 500))
	}
	s.wantRefunded(key, map[string]int64{back: 1500})
}

func refundsOneOfTwo(s suite) {
	key, backs := s.key(), []string{s.key(), s.key()}
	ref := s.taken(key)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, back := range backs {
		wg.Go(func() { errs[i] = s.refund(ref, back, 1200) })
	}
	wg.Wait()
	won := 0
	if errs[won] != nil {
		won = 1
	}
	s.must(errs[won])
	s.wantRefused(errs[1-won])
	s.wantRefunded(key, map[string]int64{backs[won]: 1200})
}

func refundsOnlyCaptured(s suite) {
	key := s.key()
	ref := s.hold(key)
	s.wantRefused(s.refund(ref, s.key(), 1))
	s.wantState(key, provider.Held)
	s.must(s.p.Void(s.ctx, ref, key+":void"))
	s.wantRefused(s.refund(ref, s.key(), 1))
}

func refusesOtherRefund(s suite) {
	key, back := s.key(), s.key()
	ref := s.taken(key)
	s.must(s.refund(ref, back, 500))
	s.wantIs(s.refund(ref, back, 501), provider.ErrKeyReused)
	s.wantRefunded(key, map[string]int64{back: 500})
}
