package provider

import "time"

// MaxWebhook is how many bytes an event may have: 256 KiB.
const MaxWebhook = 256 << 10

// WebhookTolerance is how far an event's time may be from now. A provider that sends an event again signs it anew.
const WebhookTolerance = 5 * time.Minute

// Event is what a provider tells on its own. It says where to look, not what is there: events come twice, late and out of order.
type Event struct {
	// ID is the provider's own, and the same when the event is sent again.
	ID string
	// Key is the idempotency key of the Authorize that it is about; empty when it is about none.
	Key string
	// Kind is the provider's own word: "payment_intent.succeeded".
	Kind string
}
