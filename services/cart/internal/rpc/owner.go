package rpc

import (
	"context"

	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	// customers is the issuer of the customers' tokens, whose subjects are their ids: module customer's Issuer.
	customers = "cleave"
	scopeRead = "cart.read"
	scopeAll  = "cart.write"
	// ReasonNotOwner says, with PERMISSION_DENIED, that the customer_id is another customer's.
	ReasonNotOwner = "NOT_OWNER"
)

// May is basket.Config.May: whether the call may have what belongs to a customer. A guest's cart is whoever's knows its id.
func May(ctx context.Context, customer string) bool {
	return authn.Allowed(ctx, customers, customer, scopeAll)
}

// owner is the customer that a request names, which must be the caller itself, or the caller have the scope.
func owner(ctx context.Context, customer, scope string) (string, error) {
	customer = id(customer)
	if customer != "" && !authn.Allowed(ctx, customers, customer, scope) {
		return "", problem.PermissionDenied(ReasonNotOwner, "customer_id must be the caller's own")
	}
	return customer, nil
}
