package pay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// DefaultTimeout bounds one call of the provider.
const DefaultTimeout = 10 * time.Second

// recordTime bounds the writing down of a provider's answer, which goes on when the caller has gone away.
const recordTime = 5 * time.Second

// Config is what a Service needs.
type Config struct {
	Store    Store
	Provider Provider
	Log      *slog.Logger
	// Now is the clock.
	Now func() time.Time
	// NewID makes UUIDv7s.
	NewID func() (string, error)
	// Fault is called with the name of each point at which a test may break the service: payment.CALL.before, before the provider is
	// asked, and payment.CALL.after, when it has answered and the answer is not written down; CALL is authorize, capture, void,
	// refund, list or stray. Its error breaks the call. May be nil.
	Fault func(ctx context.Context, point string) error
	// Timeout bounds one call of the provider, DefaultTimeout when 0.
	Timeout time.Duration
}

// Service moves money through a provider and remembers what it asked for. It is safe for concurrent use, also with others on the
// same store and provider. Its errors are coded ones of chassis/problem with the reasons of this package; any other error is an
// internal one.
type Service struct {
	store    Store
	provider Provider
	log      *slog.Logger
	now      func() time.Time
	newID    func() (string, error)
	fault    func(context.Context, string) error
	timeout  time.Duration
}

// New makes a Service. It fails when something is missing in c.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Provider == nil || c.Log == nil || c.Now == nil || c.NewID == nil || c.Timeout < 0 {
		return nil, errors.New("payment: Store, Provider, Log, Now and NewID are all needed, and Timeout is not negative")
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Fault == nil {
		c.Fault = func(context.Context, string) error { return nil }
	}
	return &Service{
		store: c.Store, provider: c.Provider, log: c.Log, now: c.Now, newID: c.NewID, fault: c.Fault, timeout: c.Timeout,
	}, nil
}

// Get returns a payment; PAYMENT_NOT_FOUND when there is none.
func (s *Service) Get(ctx context.Context, id string) (Payment, error) {
	p, ok, err := s.store.Payment(ctx, id)
	if err != nil {
		return Payment{}, fmt.Errorf("get payment: %w", err)
	}
	if !ok {
		return Payment{}, notFound(id)
	}
	return p, nil
}

// List returns one page of payments, the newest first, and the token of the next page: "" on the last one. A size of 0 means
// page.DefaultSize. An orderID that is not empty leaves the payment of that order.
func (s *Service) List(ctx context.Context, size int, token, orderID string) ([]Payment, string, error) {
	list := page.Of("payments", orderID)
	before, err := cursor(list.Parse(token, 2))
	if err != nil {
		return nil, "", err
	}
	n := page.Size(size)
	found, err := s.store.List(ctx, before, n+1, orderID) // one more tells whether there is a next page
	if err != nil {
		return nil, "", fmt.Errorf("list payments: %w", err)
	}
	if len(found) <= n {
		return found, "", nil
	}
	last := found[n-1]
	return found[:n], list.Token(strconv.FormatInt(last.CreateTime.UnixMicro(), 10), last.ID), nil
}

// cursor makes a Cursor of the keys of a page token, and the zero one of none.
func cursor(keys []string, err error) (Cursor, error) {
	if err != nil || len(keys) == 0 {
		return Cursor{}, err
	}
	micros, err := strconv.ParseInt(keys[0], 10, 64)
	if err != nil || uuid.Validate(keys[1]) != nil {
		return Cursor{}, page.Invalid()
	}
	return Cursor{CreateTime: time.UnixMicro(micros).UTC(), ID: keys[1]}, nil
}

// ask calls the provider with a bound on its time. name is that of its two fault points; one that moves no money has none.
func (s *Service) ask(ctx context.Context, name string, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if name == "" {
		return call(ctx)
	}
	if err := s.fault(ctx, "payment."+name+".before"); err != nil {
		return fmt.Errorf("%w: %w", provider.ErrUnavailable, err)
	}
	answer := call(ctx)
	if err := s.fault(ctx, "payment."+name+".after"); err != nil {
		return err // the answer is lost
	}
	return answer
}

// record writes a provider's answer down. The money has moved, so a caller that went away doesn't stop it.
func (s *Service) record(ctx context.Context, c Change) (Payment, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	c.At = s.time()
	p, _, err := s.store.Apply(ctx, c)
	if err != nil {
		return Payment{}, fmt.Errorf("record payment %s as %s: %w", c.ID, c.To, err)
	}
	return p, nil
}

func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// failed makes the error for what the provider could not do, when its own state is no help.
func (s *Service) failed(ctx context.Context, what string, p Payment, err error) error {
	switch {
	case errors.Is(err, provider.ErrUnavailable):
		return problem.Unavailable(ReasonUnavailable, "the payment provider is not available; nothing was done").Because(err)
	case errors.Is(err, provider.ErrKeyReused), errors.Is(err, provider.ErrUnknownRef):
		return fmt.Errorf("%s payment %s: its record and the provider's contradict each other: %w", what, p.ID, err)
	default:
		return s.unknown(ctx, what, p, err)
	}
}

// unknown is told to the caller when nobody knows what the provider did, and logged: a person may have to look.
func (s *Service) unknown(ctx context.Context, what string, p Payment, err error) error {
	s.log.LogAttrs(ctx, slog.LevelWarn, "the outcome at the payment provider is unknown", slog.String("call", what),
		slog.String("payment_id", p.ID), slog.String("order_id", p.OrderID), slog.Any("error", err))
	coded := problem.Unavailable
	if errors.Is(err, context.DeadlineExceeded) {
		coded = problem.DeadlineExceeded
	}
	return coded(ReasonOutcomeUnknown, "the payment provider did not answer; whether it did %s payment %s is not known: send it again",
		what, p.ID).Because(err)
}
