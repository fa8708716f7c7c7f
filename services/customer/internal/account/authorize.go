package account

import (
	"context"
	"errors"

	"github.com/cleavehq/cleave/chassis/problem"
)

// may refuses a caller that is neither the customer itself nor has one of the roles now: not when its token was made, but at this moment.
// It is asked before it is looked whether the customer is there.
func may(ctx context.Context, r Reader, caller, customerID string, roles ...Role) error {
	if caller == customerID {
		return nil
	}
	return mustHave(ctx, r, caller, roles...)
}

// mustHave refuses a caller that has none of the roles.
func mustHave(ctx context.Context, r Reader, caller string, roles ...Role) error {
	a, err := r.Account(ctx, caller)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	if err == nil && !a.Gone() {
		for _, want := range roles {
			if want == Staff && a.Staff || want == Admin && a.Admin {
				return nil
			}
		}
	}
	return problem.PermissionDenied(ReasonNotAllowed, "this is not yours to see or to do")
}
