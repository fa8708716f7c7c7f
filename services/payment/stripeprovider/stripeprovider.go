// Package stripeprovider is Stripe as a payment provider: a PaymentIntent for each hold, captured by hand,
// https://docs.stripe.com/payments/place-a-hold-on-a-payment-method.
//
// Stripe can't look up an idempotency key. So a hold is made in two steps: the PaymentIntent is created under the key, with nothing in
// it but what a Query has, and then confirmed with a card, made of the token. Creating it again, which moves no money, answers with the same one for a
// day, as long as Stripe keeps the key; an older one is found by its metadata.
//
// The token in a Request is one of Stripe.js, tok_...; a card that wants its holder to be asked (3-D Secure) is declined. Stripe takes no
// amount of 0: that is a decline, too.
package stripeprovider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v84"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// Config says which account.
type Config struct {
	// Key is the secret key of the account, WebhookSecret that of its webhook endpoint.
	Key, WebhookSecret provider.Secret
	// URL of the API; Stripe's own when empty.
	URL string
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Provider is a provider.Provider at Stripe. It is safe for concurrent use.
type Provider struct {
	client *stripe.Client
	secret provider.Secret
	now    func() time.Time
}

var _ provider.Provider = (*Provider)(nil)

// metadata names what the shop notes at Stripe.
const (
	metaKey   = "cleave_key"
	metaOrder = "order_id"
)

// New makes a Provider. It asks nobody.
func New(c Config) (*Provider, error) {
	if c.Key == "" || c.WebhookSecret == "" {
		return nil, errors.New("stripe: the account's key and the secret of its webhook are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	b := &stripe.BackendConfig{
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}, EnableTelemetry: stripe.Bool(false), MaxNetworkRetries: stripe.Int64(1),
	}
	if c.URL != "" {
		b.URL = stripe.String(c.URL)
	}
	return &Provider{
		client: stripe.NewClient(string(c.Key), stripe.WithBackends(stripe.NewBackendsWithConfig(b))), secret: c.WebhookSecret, now: c.Now,
	}, nil
}

// Name implements provider.Provider: "stripe".
func (p *Provider) Name() string { return "stripe" }

// Authorize implements provider.Provider.
func (p *Provider) Authorize(ctx context.Context, r provider.Request) (provider.Authorization, error) {
	intent, again, err := p.create(ctx, provider.Query{IdempotencyKey: r.IdempotencyKey, Order: r.Order, Amount: r.Amount})
	if err != nil {
		return provider.Authorization{}, err
	}
	if s := stateOf(intent); again && s.State != provider.Unknown {
		return answer(s)
	}
	confirmed, err := p.confirm(ctx, intent.ID, r)
	if err == nil {
		return answer(stateOf(confirmed))
	}
	var e *stripe.Error
	switch {
	case !errors.As(err, &e):
	case e.Type == stripe.ErrorTypeCard:
		return p.refused(ctx, intent.ID, r.IdempotencyKey, declineCode(e))
	case e.Code == stripe.ErrorCodeResourceMissing:
		return p.refused(ctx, intent.ID, r.IdempotencyKey, codeInvalid)
	case e.Type == stripe.ErrorTypeIdempotency, e.Code == stripe.ErrorCodePaymentIntentUnexpectedState:
		// Another card was first, or another request with this one.
		s, err := p.status(ctx, intent.ID)
		if err != nil {
			return provider.Authorization{}, err
		}
		return answer(s)
	}
	return provider.Authorization{}, problemOf(err)
}

// confirm makes a card of the token and holds the money on it. Its error is Stripe's.
func (p *Provider) confirm(ctx context.Context, id string, r provider.Request) (*stripe.PaymentIntent, error) {
	card := &stripe.PaymentMethodCreateParams{
		Type: stripe.String("card"), Card: &stripe.PaymentMethodCreateCardParams{Token: stripe.String(string(r.Token))},
	}
	card.SetIdempotencyKey(r.IdempotencyKey + ":card")
	method, err := p.client.V1PaymentMethods.Create(ctx, card)
	if err != nil {
		return nil, err
	}
	params := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String(method.ID), ErrorOnRequiresAction: stripe.Bool(true)}
	params.SetIdempotencyKey(r.IdempotencyKey + ":confirm")
	return p.client.V1PaymentIntents.Confirm(ctx, id, params)
}

// refused makes a refusal final. A card that was asked is noted in the PaymentIntent; of one that Stripe wouldn't even make a card of
// nothing is, so that is cancelled.
func (p *Provider) refused(ctx context.Context, id, key, code string) (provider.Authorization, error) {
	s, err := p.status(ctx, id)
	if err == nil && s.State == provider.Unknown {
		err = p.Void(ctx, id, key+":refused")
		s = provider.Status{State: provider.Declined, DeclineCode: code}
	}
	if err != nil {
		return provider.Authorization{}, err
	}
	return answer(s)
}

// answer is what Authorize says of a hold.
func answer(s provider.Status) (provider.Authorization, error) {
	switch s.State {
	case provider.Declined:
		return provider.Authorization{}, &provider.Decline{Code: s.DeclineCode}
	case provider.Unknown:
		return provider.Authorization{}, errors.New("stripe: the card is still being asked")
	case provider.Held, provider.Captured, provider.Voided:
	}
	return provider.Authorization{Ref: s.Ref}, nil
}

// create makes the PaymentIntent of a key, or finds it, as it is now: again says which.
func (p *Provider) create(ctx context.Context, q provider.Query) (intent *stripe.PaymentIntent, again bool, err error) {
	params := &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(q.Amount.Minor), Currency: stripe.String(lower(q.Amount.Currency)), CaptureMethod: stripe.String("manual"),
		PaymentMethodTypes: []*string{stripe.String("card")}, Metadata: map[string]string{metaKey: q.IdempotencyKey, metaOrder: q.Order},
	}
	params.SetIdempotencyKey(q.IdempotencyKey)
	intent, err = p.client.V1PaymentIntents.Create(ctx, params)
	var e *stripe.Error
	switch {
	case err == nil && intent.LastResponse != nil && intent.LastResponse.Header.Get("Idempotent-Replayed") == "true":
		intent, err = p.retrieve(ctx, intent.ID)
		return intent, true, err
	case err == nil:
		return intent, false, nil
	case errors.As(err, &e) && (e.Code == stripe.ErrorCodeAmountTooSmall || e.Code == stripe.ErrorCodeAmountTooLarge):
		return nil, false, &provider.Decline{Code: string(e.Code)}
	default:
		return nil, false, problemOf(err)
	}
}

func (p *Provider) retrieve(ctx context.Context, id string) (*stripe.PaymentIntent, error) {
	intent, err := p.client.V1PaymentIntents.Retrieve(ctx, id, nil)
	if err != nil {
		return nil, problemOf(err)
	}
	return intent, nil
}

// Capture implements provider.Provider.
func (p *Provider) Capture(ctx context.Context, ref, idempotencyKey string) error {
	params := &stripe.PaymentIntentCaptureParams{}
	params.SetIdempotencyKey(idempotencyKey)
	_, err := p.client.V1PaymentIntents.Capture(ctx, ref, params)
	return p.finished(ctx, ref, err, provider.Captured)
}

// Void implements provider.Provider.
func (p *Provider) Void(ctx context.Context, ref, idempotencyKey string) error {
	params := &stripe.PaymentIntentCancelParams{}
	params.SetIdempotencyKey(idempotencyKey)
	_, err := p.client.V1PaymentIntents.Cancel(ctx, ref, params)
	return p.finished(ctx, ref, err, provider.Voided)
}

// finished says what an answer to a capture or a void means: when the hold was not there any more, its state does.
func (p *Provider) finished(ctx context.Context, ref string, err error, want provider.State) error {
	var e *stripe.Error
	if !errors.As(err, &e) || e.Code != stripe.ErrorCodePaymentIntentUnexpectedState {
		return problemOf(err)
	}
	intent, err := p.retrieve(ctx, ref)
	if err != nil {
		return err
	}
	is := stateOf(intent).State
	if is == want {
		return nil
	}
	switch is {
	case provider.Captured:
		return provider.ErrCaptured
	case provider.Voided:
		return provider.ErrVoided
	case provider.Held:
		return fmt.Errorf("stripe: the hold changed meanwhile: %w", problemOf(e))
	case provider.Unknown, provider.Declined:
	}
	return provider.ErrUnknownRef
}

// Refund implements provider.Provider.
func (p *Provider) Refund(ctx context.Context, ref, idempotencyKey string, amount provider.Money) error {
	params := &stripe.RefundCreateParams{
		PaymentIntent: stripe.String(ref), Amount: stripe.Int64(amount.Minor), Metadata: map[string]string{metaKey: idempotencyKey},
	}
	params.SetIdempotencyKey(idempotencyKey)
	r, err := p.client.V1Refunds.Create(ctx, params)
	var e *stripe.Error
	switch {
	case err == nil && !moved(r):
		return &provider.Decline{Code: string(r.FailureReason)}
	case errors.As(err, &e) && e.Type == stripe.ErrorTypeInvalidRequest && e.Code != stripe.ErrorCodeResourceMissing && e.HTTPStatusCode == 400:
		return &provider.Decline{Code: first(string(e.Code), "refund_refused")}
	default:
		return problemOf(err)
	}
}
