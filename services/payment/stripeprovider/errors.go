package stripeprovider

import (
	"errors"
	"fmt"
	"net"

	"github.com/stripe/stripe-go/v84"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// problemOf is what the seam says of an error of Stripe's. Stripe's own text may name the token, and is left out.
func problemOf(err error) error {
	var e *stripe.Error
	var dial *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("%w: %w", provider.ErrUnavailable, err)
	default:
		return err
	}
	text := fmt.Errorf("stripe: %s %s, HTTP %d, request %s", e.Type, e.Code, e.HTTPStatusCode, e.RequestID)
	switch {
	case e.Type == stripe.ErrorTypeIdempotency && e.HTTPStatusCode == 400:
		return fmt.Errorf("%w: %w", provider.ErrKeyReused, text)
	case e.Code == stripe.ErrorCodeResourceMissing:
		return fmt.Errorf("%w: %w", provider.ErrUnknownRef, text)
	case e.HTTPStatusCode == 429, e.HTTPStatusCode == 401, e.HTTPStatusCode == 403: // too many requests, or a key that isn't right
		return fmt.Errorf("%w: %w", provider.ErrUnavailable, text)
	default:
		return text
	}
}

func declineCode(e *stripe.Error) string {
	return first(string(e.DeclineCode), first(string(e.Code), "declined"))
}
