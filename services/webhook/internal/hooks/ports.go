package hooks

import (
	"context"
	"time"

	"github.com/cleavehq/cleave/chassis/egress"
	"github.com/cleavehq/cleave/chassis/hook"
	"github.com/cleavehq/cleave/chassis/lease"
)

// Store keeps endpoints, secrets and deliveries. Where it returns a bool beside something, false says that there is no such thing.
type Store interface {
	Endpoint(ctx context.Context, id string) (Endpoint, bool, error)
	// Endpoints returns up to limit endpoints older than the cursor, the newest first.
	Endpoints(ctx context.Context, before Cursor, limit int) ([]Endpoint, error)
	// Add writes a new endpoint and its secret; false, and nothing is written, when there are most of them.
	Add(ctx context.Context, e Endpoint, s hook.Secret, most int) (bool, error)
	// Change writes URL, types, description and whether it is disabled, and returns the endpoint.
	Change(ctx context.Context, e Endpoint) (Endpoint, bool, error)
	// Delete deletes an endpoint with its secrets and deliveries.
	Delete(ctx context.Context, id string) (bool, error)
	// Rotate adds a secret, and has those that signed until now sign until old, which may be now. enough is true, and nothing is
	// changed, when more than most would sign.
	Rotate(ctx context.Context, r Rotation) (e Endpoint, ok, enough bool, err error)

	// Deliveries returns up to limit deliveries to an endpoint older than the cursor, the newest first; of a state unless it is empty.
	Deliveries(ctx context.Context, endpointID string, only State, before Cursor, limit int) ([]Delivery, error)
	// Replay makes a delivery due now, as if it had never been sent, unless its endpoint is disabled.
	Replay(ctx context.Context, id string, now time.Time) (d Delivery, ok, disabled bool, err error)
	// ReplayDead does it for all dead deliveries to an endpoint that were made since, and counts them.
	ReplayDead(ctx context.Context, endpointID string, since, now time.Time) (int64, error)
}

// Rotation is a new secret in an old one's place.
type Rotation struct {
	EndpointID string
	Secret     hook.Secret
	Now, Until time.Time
	Most       int
}

// Queue is the courier's side of the store.
type Queue interface {
	// Due returns deliveries that are due, the longest due first, at most so many for each endpoint that isn't disabled.
	Due(ctx context.Context, now time.Time, perEndpoint int) ([]Parcel, error)
	// Record writes down how an attempt ended, unless the delivery was replayed, deleted or recorded meanwhile. It fails with
	// lease.ErrFenced, and nothing is written, when the lease has another owner. FailGone disables the endpoint, and lets its other
	// deliveries die.
	Record(ctx context.Context, l *lease.Lease, r Result) error
	// Prune deletes what is over since before, a bounded number at a time, and counts.
	Prune(ctx context.Context, l *lease.Lease, before time.Time) (int64, error)
}

// Result is how an attempt ended: the delivery as it is now.
type Result struct {
	Delivery
	// Before is how many attempts there were before this one.
	Before int
}

// Cursor is a place in a list, which is ordered by create time, then id. Zero is before the first.
type Cursor struct {
	Created time.Time
	ID      string
}

// Sender is the way out: egress.Client.
type Sender interface {
	// Check says what is wrong with a URL.
	Check(url string) error
	Post(ctx context.Context, url string, header map[string]string, body []byte) (egress.Answer, error)
}

var _ Sender = (*egress.Client)(nil)
