// Package providertest is what every payment provider must do, as tests. An implementation runs it on itself:
//
//	providertest.Run(t, providertest.Config{New: func(t *testing.T) provider.Provider { ... }, Approved: "tok_visa", ...})
package providertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// Config says what to test, and with which cards.
type Config struct {
	// New returns the provider; it is called once for each test, and may return the same one.
	New func(t *testing.T) provider.Provider
	// Approved is a token that is approved, Declined one that is not, with this DeclineCode.
	Approved, Declined provider.Token
	DeclineCode        string
	// UnknownRef is a ref that names no hold.
	UnknownRef string
	// Event returns an event about the hold of a key, as it is posted by the provider that New returns: signed at a time.
	Event func(t *testing.T, id, key string, at time.Time) (header map[string]string, body []byte)
	// Timeout of each test, 30 seconds when 0.
	Timeout time.Duration
}

// suite is the state of one test.
type suite struct {
	*testing.T
	ctx context.Context //nolint:containedctx // of the test
	c   Config
	p   provider.Provider
}

// Run runs the suite as subtests of t.
func Run(t *testing.T, c Config) {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	for name, test := range map[string]func(suite){
		"Approves":                        approves,
		"HoldsOncePerKey":                 holdsOncePerKey,
		"HoldsOncePerKeyAtTheSameTime":    holdsOnceConcurrently,
		"HoldsTwiceForTwoKeys":            holdsPerKey,
		"KeepsTheFirstOutcome":            keepsFirstOutcome,
		"RefusesAKeyWithAnotherAmount":    refusesOtherAmount,
		"Declines":                        declines,
		"CapturesOnce":                    capturesOnce,
		"VoidsOnce":                       voidsOnce,
		"NeverCapturesWhatIsVoided":       captureAfterVoid,
		"NeverVoidsWhatIsCaptured":        voidAfterCapture,
		"CapturesOrVoids":                 capturesOrVoids,
		"RefundsOnce":                     refundsOnce,
		"RefundsInParts":                  refundsInParts,
		"NeverRefundsMoreThanWasTaken":    neverRefundsMore,
		"RefundsOfTwoWhatIsThereForOne":   refundsOneOfTwo,
		"NeverRefundsWhatIsNotTaken":      refundsOnlyCaptured,
		"RefusesARefundWithAnotherAmount": refusesOtherRefund,
		"ListsItsCharges":                 listsCharges,
		"ReadsItsEvents":                  readsEvents,
		"RefusesForgedEvents":             refusesForged,
		"RefusesOldAndFutureEvents":       refusesOldEvents,
		"RefusesHugeEvents":               refusesHugeEvents,
		"KnowsNothingOfAnUnknownKey":      unknownKey,
		"RefusesAnUnknownRef":             unknownRef,
		"DoesNothingForOneWhoHasGoneAway": goneAway,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
			defer cancel()
			test(suite{T: t, ctx: ctx, c: c, p: c.New(t)})
		})
	}
}

// key returns an idempotency key that was never used.
func (s suite) key() string { return uuid.NewString() }

// order is the order that a hold is for.
func (s suite) order(key string) string { return "order-of-" + key }

func (s suite) amount() provider.Money { return provider.Money{Currency: "EUR", Minor: 1999} }

func (s suite) authorize(key string, token provider.Token) (provider.Authorization, error) {
	return s.p.Authorize(s.ctx, provider.Request{
		IdempotencyKey: key, Order: s.order(key), Amount: s.amount(), Token: token,
	})
}

// hold makes a hold and returns its ref.
func (s suite) hold(key string) string {
	s.Helper()
	a, err := s.authorize(key, s.c.Approved)
	s.must(err)
	if a.Ref == "" {
		s.Fatal("a hold without a ref")
	}
	return a.Ref
}

func (s suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s suite) wantIs(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("error is %v, want %v", err, want)
	}
}

func (s suite) wantState(key string, want provider.State) provider.Status {
	s.Helper()
	got, err := s.p.Lookup(s.ctx, provider.Query{IdempotencyKey: key, Order: s.order(key), Amount: s.amount()})
	s.must(err)
	if got.State != want {
		s.Fatalf("lookup says %s, want %s", got.State, want)
	}
	return got
}
