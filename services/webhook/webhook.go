// Package webhook tells other people's systems what happens in the shop.
//
// An endpoint is a URL and a choice of events. When the order or the payment module says that something happened, the event becomes a message,
// once, and a delivery for each endpoint that wants it; both commit together with the note that the event was heard, so an event that
// comes again makes nothing twice. A courier, of which one works at a time (lease "webhook.deliver"), posts what is due:
//
//	POST /your/path                          {"type": "order.paid",
//	webhook-id: the event's id                "timestamp": when it happened,
//	webhook-timestamp: now, in seconds        "data": {"order": {...}}}
//	webhook-signature: v1,...
//
// as https://www.standardwebhooks.com has it; package chassis/hook verifies it on the other side. 2xx within 15 s means that it was taken.
// Anything else is tried again: after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, give or take a tenth, or later when the endpoint
// says so by Retry-After. After the tenth attempt the delivery is DEAD. 410 says that the endpoint wants nothing any more: it is disabled. A person can
// look at deliveries and replay them, one by one or all the dead ones since a time.
//
//	PENDING --2xx--> DELIVERED        PENDING --410, ten failures--> DEAD        either --replay--> PENDING
//
// A message may come twice, since nobody knows what became of a request whose answer was lost: the receiver tells by the webhook-id, which stays
// the same. Messages may come out of order, since one that failed comes later: the receiver tells by the timestamp in the body.
//
// Each endpoint has at most four deliveries on their way, and none waits for another endpoint's. What strangers name as a URL is called through
// chassis/egress: TLS to public addresses only, looked at when connecting, no redirects, bounded answers; nothing of the answer but its status
// is kept or shown.
//
// The secret of an endpoint, whsec_..., is shown when it is made, and never again. It is in the database as it is, for it has to sign; it is in no
// log, no error and no event. One that leaked is replaced with an overlap of 0; one that is merely old with an overlap, in which both sign.
//
// What is over is deleted after 30 days.
package webhook

import "github.com/cleavehq/cleave/services/webhook/internal/hooks"

// Name of the module in the registry, and the group in which it consumes events.
const Name = "webhook"

// Limits of the module.
const (
	// MaxEndpoints is how many endpoints there are at most.
	MaxEndpoints = hooks.MaxEndpoints
	// MaxSecrets is how many secrets of an endpoint sign at once.
	MaxSecrets = hooks.MaxSecrets
	// PerEndpoint is how many deliveries to one endpoint are on their way at once.
	PerEndpoint = hooks.PerEndpoint
)

// Reasons of the errors that this module makes, as a client reads them in a problem document.
const (
	ReasonEndpointNotFound = hooks.ReasonEndpointNotFound
	ReasonDeliveryNotFound = hooks.ReasonDeliveryNotFound
	ReasonURLForbidden     = hooks.ReasonURLForbidden
	ReasonUnknownType      = hooks.ReasonUnknownType
	ReasonTooManyEndpoints = hooks.ReasonTooManyEndpoints
	ReasonTooManySecrets   = hooks.ReasonTooManySecrets
	ReasonDisabled         = hooks.ReasonDisabled
	ReasonPageTokenInvalid = hooks.ReasonPageToken
)
