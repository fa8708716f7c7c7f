package hooks

import (
	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonEndpointNotFound = "ENDPOINT_NOT_FOUND"    // NotFound
	ReasonDeliveryNotFound = "DELIVERY_NOT_FOUND"    // NotFound
	ReasonURLForbidden     = "URL_FORBIDDEN"         // InvalidArgument: not https, or not to a public address
	ReasonUnknownType      = "UNKNOWN_EVENT_TYPE"    // InvalidArgument
	ReasonTooManyEndpoints = "TOO_MANY_ENDPOINTS"    // FailedPrecondition
	ReasonTooManySecrets   = "TOO_MANY_SECRETS"      // FailedPrecondition: wait until one is forgotten, or rotate without overlap
	ReasonDisabled         = "ENDPOINT_DISABLED"     // FailedPrecondition: nothing is sent there
	ReasonPageToken        = page.ReasonTokenInvalid // InvalidArgument
)

func notFound(id string) error { return problem.NotFound(ReasonEndpointNotFound, "no endpoint %s", id) }
