package stripeprovider

import (
	"context"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v84"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// List implements provider.Provider: the PaymentIntents on which a charge was ever made, https://docs.stripe.com/api/payment_intents/list.
// Stripe's times are whole seconds.
func (p *Provider) List(ctx context.Context, w provider.Window) (provider.Charges, error) {
	params := &stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{
		GreaterThanOrEqual: w.From.Unix(), LesserThan: w.To.Unix(),
	}}
	params.Limit = stripe.Int64(int64(w.Limit))
	if w.After != "" {
		params.StartingAfter = stripe.String(w.After)
	}
	var out provider.Charges
	seen := 0
	for intent, err := range p.client.V1PaymentIntents.List(ctx, params) { // it asks for page after page by itself
		if err != nil {
			return provider.Charges{}, problemOf(err)
		}
		if seen == w.Limit { // there is a next page: it begins with this one
			return out, nil
		}
		seen++
		out.Next = intent.ID
		if s := stateOf(intent); s.Ref != "" {
			out.List = append(out.List, provider.Charge{
				Ref: intent.ID, Key: intent.Metadata[metaKey], Order: intent.Metadata[metaOrder], Made: time.Unix(intent.Created, 0).UTC(),
				Amount: provider.Money{Currency: strings.ToUpper(string(intent.Currency)), Minor: intent.Amount},
			})
		}
	}
	out.Next = ""
	return out, nil
}
