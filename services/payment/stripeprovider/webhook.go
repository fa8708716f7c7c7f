package stripeprovider

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v84"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// signatureHeader has Stripe's signature, https://docs.stripe.com/webhooks#verify-manually.
const signatureHeader = "Stripe-Signature"

// object is what an event is about: a PaymentIntent, or a charge or refund, which carry its metadata or name it.
type object struct {
	Metadata map[string]string `json:"metadata"`
}

// ParseWebhook implements provider.Provider. An event about a PaymentIntent, or the charge of one, has the key in its metadata; that of a
// refund has the refund's there, and is about none: charge.refunded, which comes with it, is.
func (p *Provider) ParseWebhook(header map[string]string, body []byte) (provider.Event, error) {
	signature := header[signatureHeader]
	if len(body) > provider.MaxWebhook || !p.fresh(signature) {
		return provider.Event{}, provider.ErrSignature
	}
	// The clock is fresh's; what is in the signature is compared in constant time.
	if err := stripe.ValidatePayload(body, signature, string(p.secret), stripe.WithIgnoreTolerance()); err != nil {
		return provider.Event{}, provider.ErrSignature
	}
	var e stripe.Event
	var o object
	if err := json.Unmarshal(body, &e); err != nil || e.ID == "" || e.Data == nil {
		return provider.Event{}, provider.ErrBadEvent
	}
	if err := json.Unmarshal(e.Data.Raw, &o); err != nil {
		return provider.Event{}, provider.ErrBadEvent
	}
	out := provider.Event{ID: e.ID, Kind: string(e.Type)}
	if strings.HasPrefix(out.Kind, "payment_intent.") || strings.HasPrefix(out.Kind, "charge.") && !strings.HasPrefix(out.Kind, "charge.refund.") {
		out.Key = o.Metadata[metaKey]
	}
	return out, nil
}

// fresh says whether the time in a signature is within the tolerance. stripe-go lets the future pass.
func (p *Provider) fresh(signature string) bool {
	for part := range strings.SplitSeq(signature, ",") {
		if at, ok := strings.CutPrefix(part, "t="); ok {
			seconds, err := strconv.ParseInt(at, 10, 64)
			return err == nil && p.now().Sub(time.Unix(seconds, 0)).Abs() <= provider.WebhookTolerance
		}
	}
	return false
}
