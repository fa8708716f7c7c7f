// Package hooks is the business of the webhook module: its words, its rules, its service and its courier. It knows no transport, no proto and
// no SQL.
package hooks

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cleavehq/cleave/chassis/hook"
)

// Limits of the module.
const (
	// MaxEndpoints is how many endpoints there are at most: each event becomes as many deliveries.
	MaxEndpoints = 100
	// MaxSecrets is how many secrets of an endpoint sign at once.
	MaxSecrets = 4
	// PerEndpoint is how many deliveries to one endpoint are on their way at once.
	PerEndpoint = 4
	// DefaultOverlap is for how long an old secret signs beside a new one, and MaxOverlap the longest.
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 7 * 24 * time.Hour
	// Keep is how long a delivery is kept that is over.
	Keep = 30 * 24 * time.Hour
)

// The types of events, as a receiver sees them.
const (
	OrderConfirmed = "order.confirmed"
	OrderPaid      = "order.paid"
	OrderCancelled = "order.cancelled"
	OrderShipped   = "order.shipped"
	OrderDelivered = "order.delivered"
	OrderRefunded  = "order.refunded"
	OrderReturned  = "order.returned"
	PaymentUpdated = "payment.updated"
)

// known tells whether there are events of a type.
func known(kind string) bool {
	return slices.Contains([]string{
		OrderConfirmed, OrderPaid, OrderCancelled, OrderShipped, OrderDelivered, OrderRefunded, OrderReturned, PaymentUpdated,
	}, kind)
}

// Schedule is how long is waited after each failed attempt; after one more it is given up. It is the example of
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability: ten attempts in
// about three days.
func Schedule() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour,
		24 * time.Hour,
	}
}

// pause is the wait after so many failed attempts, give or take a tenth, and at least what the endpoint asked for. False when there is
// no further attempt.
func pause(failed int, atLeast time.Duration) (time.Duration, bool) {
	all := Schedule()
	if failed > len(all) {
		return 0, false
	}
	d := all[failed-1]
	d += rand.N(d/5) - d/10 //nolint:gosec // jitter, not a secret
	return max(d, atLeast), true
}

// Endpoint is where events are sent to.
type Endpoint struct {
	// ID is a UUIDv7, here and below.
	ID  string
	URL string
	// Types are sorted; empty for every one.
	Types       []string
	Description string
	Disabled    bool
	// Why it was disabled by the module; empty when a person did, or nobody.
	Why Failure
	// Created and Updated are in microseconds, here and below.
	Created, Updated time.Time
}

// Wants tells whether events of a type are sent to the endpoint.
func (e *Endpoint) Wants(kind string) bool {
	return !e.Disabled && (len(e.Types) == 0 || slices.Contains(e.Types, kind))
}

// Message is an event as every endpoint gets it.
type Message struct {
	// ID is the event's, and the webhook-id header.
	ID, Type string
	// Body is JSON, and the same at every attempt, byte for byte.
	Body []byte
}

// State is what became of a delivery.
type State string

// The states of a delivery. The last two are final, unless it is replayed.
const (
	Pending   State = "PENDING"
	Delivered State = "DELIVERED"
	Dead      State = "DEAD"
)

// Failure says why an attempt failed.
type Failure string

// The failures.
const (
	FailStatus    Failure = "STATUS"            // an answer that isn't 2xx
	FailTimeout   Failure = "TIMEOUT"           // no answer in time
	FailReach     Failure = "UNREACHABLE"       // no connection, or one that broke
	FailForbidden Failure = "ADDRESS_FORBIDDEN" // the name leads to an address that must not be called
	FailGone      Failure = "GONE"              // 410: the endpoint wants nothing any more
)

// Delivery is one message on its way to one endpoint.
type Delivery struct {
	ID, EndpointID, EventID, Type string
	State                         State
	Attempts                      int
	// Status of the last attempt; 0 when there was no answer.
	Status int
	Why    Failure
	// Next is when it is sent, while Pending.
	Created, Updated, Next time.Time
}

// Parcel is a delivery that is due, with all that is needed to send it.
type Parcel struct {
	Delivery
	URL  string
	Body []byte
	// Secrets that sign, the newest first.
	Secrets []hook.Secret
}
