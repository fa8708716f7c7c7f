package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/idempotency"
)

// keyed puts the request's Idempotency-Key into the metadata of the call. A call that must not be done twice and came without a key gets one
// of its own, so that what is sent again on the way to the service is done once; the client's next request has another.
func (x *exchange) keyed(e *endpoint) (context.Context, error) {
	ctx := x.r.Context()
	keys := x.r.Header.Values(idempotency.Header)
	switch {
	case len(keys) > 1 || len(keys) == 1 && !idempotency.Valid(keys[0]):
		return nil, idempotency.BadKey()
	case len(keys) == 1:
		return idempotency.WithKey(ctx, keys[0]), nil
	case x.r.Method != http.MethodGet && x.r.Method != http.MethodHead && idempotency.NeedsKey(e.desc):
		return idempotency.WithKey(ctx, uuid.NewString()), nil
	}
	return ctx, nil
}
