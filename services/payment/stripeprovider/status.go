package stripeprovider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stripe/stripe-go/v84"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// codeInvalid is the decline of a token that Stripe doesn't know.
const codeInvalid = "invalid_token"

// Lookup implements provider.Provider. For a key that Stripe has never seen it leaves a PaymentIntent without a card behind.
func (p *Provider) Lookup(ctx context.Context, q provider.Query) (provider.Status, error) {
	if q.Ref != "" {
		return p.status(ctx, q.Ref)
	}
	params := &stripe.PaymentIntentSearchParams{SearchParams: stripe.SearchParams{
		Query: fmt.Sprintf("metadata['%s']:'%s'", metaKey, strings.ReplaceAll(q.IdempotencyKey, "'", "")), Limit: stripe.Int64(1), Single: true,
	}}
	for intent, err := range p.client.V1PaymentIntents.Search(ctx, params) {
		if err != nil {
			return provider.Status{}, problemOf(err)
		}
		return p.status(ctx, intent.ID)
	}
	intent, _, err := p.create(ctx, q)
	var d *provider.Decline
	if errors.As(err, &d) {
		return provider.Status{State: provider.Declined, DeclineCode: d.Code}, nil
	}
	if err != nil {
		return provider.Status{}, err
	}
	return p.complete(ctx, intent)
}

func (p *Provider) status(ctx context.Context, id string) (provider.Status, error) {
	intent, err := p.retrieve(ctx, id)
	if err != nil {
		return provider.Status{}, err
	}
	return p.complete(ctx, intent)
}

// complete is what Stripe knows of a PaymentIntent and its refunds.
func (p *Provider) complete(ctx context.Context, intent *stripe.PaymentIntent) (provider.Status, error) {
	if intent.Status == stripe.PaymentIntentStatusProcessing || intent.Status == stripe.PaymentIntentStatusRequiresAction {
		return provider.Status{}, fmt.Errorf("stripe: the card is still being asked: the status is %s", intent.Status)
	}
	s := stateOf(intent)
	if s.State != provider.Captured {
		return s, nil
	}
	params := &stripe.RefundListParams{PaymentIntent: stripe.String(intent.ID)}
	for r, err := range p.client.V1Refunds.List(ctx, params) {
		if err != nil {
			return provider.Status{}, problemOf(err)
		}
		if !moved(r) {
			continue
		}
		if s.Refunds == nil {
			s.Refunds = map[string]int64{}
		}
		s.Refunds[first(r.Metadata[metaKey], r.ID)] = r.Amount
		s.Refunded += r.Amount
	}
	return s, nil
}

// moved says whether a refund has moved money, or will.
func moved(r *stripe.Refund) bool {
	return r.Status != stripe.RefundStatusFailed && r.Status != stripe.RefundStatusCanceled
}

// stateOf is where a PaymentIntent stands, without its refunds. One that was cancelled without ever having had a charge was refused.
func stateOf(i *stripe.PaymentIntent) provider.Status {
	s := provider.Status{Ref: i.ID, Amount: provider.Money{Currency: strings.ToUpper(string(i.Currency)), Minor: i.Amount}}
	switch {
	case i.Status == stripe.PaymentIntentStatusRequiresCapture:
		s.State = provider.Held
	case i.Status == stripe.PaymentIntentStatusSucceeded:
		s.State, s.Captured = provider.Captured, i.AmountReceived
	case i.Status == stripe.PaymentIntentStatusCanceled && i.LatestCharge != nil:
		s.State = provider.Voided
	case i.Status == stripe.PaymentIntentStatusCanceled:
		return provider.Status{State: provider.Declined, DeclineCode: codeInvalid}
	case i.Status == stripe.PaymentIntentStatusRequiresPaymentMethod && i.LastPaymentError != nil:
		return provider.Status{State: provider.Declined, DeclineCode: declineCode(i.LastPaymentError)}
	default:
		return provider.Status{}
	}
	return s
}

func lower(currency string) string { return strings.ToLower(currency) }

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
