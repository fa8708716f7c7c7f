package cart_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"go-micro.dev/v4/metadata"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/host"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	"github.com/cleavehq/cleave/services/cart"
)

// as is a call that the gateway lets in for a caller.
func as(t *testing.T, i authn.Identity) context.Context {
	md := metadata.Metadata{}
	authn.Stamp(md, i)
	return metadata.NewContext(t.Context(), md)
}

// A customer's cart is the customer's: to everybody else outside it isn't there, whatever they ask of it.
func TestACartIsItsCustomers(t *testing.T) {
	r := start(t, host.Config{DataDir: t.TempDir()})
	ann, bob := uuid.NewString(), uuid.NewString()
	customer := func(id string) context.Context {
		return as(t, authn.Identity{Kind: authn.KindToken, Issuer: "cleave", Subject: id})
	}
	mugs := []*cartv1.NewItem{{Sku: "MUG", Quantity: 1}}
	hers, err := r.carts.CreateCart(customer(ann), &cartv1.CreateCartRequest{CustomerId: ann, Items: mugs})
	if err != nil {
		t.Fatal(err)
	}
	guests, err := r.carts.CreateCart(as(t, authn.Identity{}), &cartv1.CreateCartRequest{Items: mugs})
	if err != nil {
		t.Fatal(err)
	}
	for who, ctx := range map[string]context.Context{
		"a guest": as(t, authn.Identity{}), "another customer": customer(bob),
		"another issuer's token": as(t, authn.Identity{Kind: authn.KindToken, Issuer: "idp", Subject: ann}),
		"a key of that name":     as(t, authn.Identity{Kind: authn.KindKey, Subject: ann, Scopes: []string{"order.*"}}),
	} {
		t.Run(who, func(t *testing.T) {
			for what, do := range map[string]func() error{
				"read": func() error { return second(r.carts.GetCart(ctx, &cartv1.GetCartRequest{CartId: hers.GetId()})) },
				"add": func() error {
					return second(r.carts.AddItem(ctx, &cartv1.AddItemRequest{CartId: hers.GetId(), Sku: "MUG", Quantity: 1}))
				},
				"update": func() error {
					return second(r.carts.UpdateItem(ctx, &cartv1.UpdateItemRequest{CartId: hers.GetId(), Sku: "MUG", Quantity: 2}))
				},
				"remove": func() error {
					return second(r.carts.RemoveItem(ctx, &cartv1.RemoveItemRequest{CartId: hers.GetId(), Sku: "MUG"}))
				},
				"coupon": func() error {
					return second(r.carts.SetCoupon(ctx, &cartv1.SetCouponRequest{CartId: hers.GetId(), CouponCode: "TEN"}))
				},
				"no code": func() error { return second(r.carts.SetCoupon(ctx, &cartv1.SetCouponRequest{CartId: hers.GetId()})) },
				"requote": func() error {
					return second(r.carts.RequoteCart(ctx, &cartv1.RequoteCartRequest{CartId: hers.GetId()}))
				},
			} {
				t.Run(what, func(t *testing.T) { mustFail(t, do(), codes.NotFound, cart.ReasonCartNotFound) })
			}
			for what, do := range map[string]func() error{
				"look": func() error {
					return second(r.carts.GetCustomerCart(ctx, &cartv1.GetCustomerCartRequest{CustomerId: ann}))
				},
				"make": func() error { return second(r.carts.CreateCart(ctx, &cartv1.CreateCartRequest{CustomerId: ann})) },
				"assign": func() error {
					return second(r.carts.AssignCart(ctx, &cartv1.AssignCartRequest{CartId: guests.GetId(), CustomerId: ann}))
				},
				"merge": func() error {
					return second(r.carts.MergeCart(ctx, &cartv1.MergeCartRequest{FromCartId: guests.GetId(), CustomerId: ann}))
				},
			} {
				t.Run(what, func(t *testing.T) { mustFail(t, do(), codes.PermissionDenied, cart.ReasonNotOwner) })
			}
		})
	}
	for who, ctx := range map[string]context.Context{
		"herself": customer(ann), "a module": t.Context(),
		"the shop's people": as(t, authn.Identity{Kind: authn.KindKey, Subject: "desk", Scopes: []string{"cart.*"}}),
	} {
		got, err := r.carts.GetCart(ctx, &cartv1.GetCartRequest{CartId: hers.GetId()})
		if err != nil || len(got.GetItems()) != 1 || got.GetItems()[0].GetQuantity() != 1 || got.GetCouponCode() != "" {
			t.Errorf("%s: %v, %v", who, got, err)
		}
		if _, err := r.carts.GetCustomerCart(ctx, &cartv1.GetCustomerCartRequest{CustomerId: ann}); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	// A guest's is for whoever knows its id, and becomes hers when she says so.
	both, err := r.carts.MergeCart(customer(ann), &cartv1.MergeCartRequest{FromCartId: guests.GetId(), CustomerId: ann})
	if err != nil || both.GetId() != hers.GetId() || both.GetItems()[0].GetQuantity() != 2 {
		t.Errorf("%v, %v", both, err)
	}
}

func second[T any](_ T, err error) error { return err }
