package order_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"go-micro.dev/v4/metadata"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/host"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/order"
)

// as is a call that the gateway lets in for a caller.
func as(t *testing.T, i authn.Identity) context.Context {
	md := metadata.Metadata{}
	authn.Stamp(md, i)
	return metadata.NewContext(t.Context(), md)
}

// A customer's orders are the customer's, and the customer may call them off; the stub's carts are all one customer's.
func TestAnOrderIsItsCustomers(t *testing.T) {
	r := start(t, host.Config{DataDir: t.TempDir()})
	token := func(id string) context.Context {
		return as(t, authn.Identity{Kind: authn.KindToken, Issuer: "cleave", Subject: id})
	}
	hers := token(customer)
	o, err := r.orders.CreateOrder(hers, purchase(uuid.NewString()))
	if err != nil {
		t.Fatal(err)
	}
	get, calloff := &orderv1.GetOrderRequest{OrderId: o.GetId()}, &orderv1.CancelOrderRequest{OrderId: o.GetId()}
	for who, ctx := range map[string]context.Context{
		"a guest": as(t, authn.Identity{}), "another customer": token(uuid.NewString()),
		"another issuer's token": as(t, authn.Identity{Kind: authn.KindToken, Issuer: "idp", Subject: customer}),
		"a key of that name":     as(t, authn.Identity{Kind: authn.KindKey, Subject: customer, Scopes: []string{"cart.*"}}),
	} {
		t.Run(who, func(t *testing.T) {
			_, err := r.orders.GetOrder(ctx, get)
			mustFail(t, err, codes.NotFound, order.ReasonOrderNotFound)
			_, err = r.orders.CancelOrder(ctx, calloff)
			mustFail(t, err, codes.NotFound, order.ReasonOrderNotFound)
			_, err = r.orders.ListCustomerOrders(ctx, &orderv1.ListCustomerOrdersRequest{CustomerId: customer})
			mustFail(t, err, codes.PermissionDenied, order.ReasonNotOwner)
			stream, err := r.orders.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: o.GetId()})
			if err == nil {
				_, err = stream.Recv()
			}
			mustFail(t, err, codes.NotFound, order.ReasonOrderNotFound)
		})
	}
	for _, ctx := range []context.Context{as(t, authn.Identity{}), t.Context(), as(t, authn.Identity{Kind: authn.KindKey, Subject: "desk", Scopes: []string{"*"}})} {
		_, err = r.orders.ListCustomerOrders(ctx, &orderv1.ListCustomerOrdersRequest{CustomerId: "me"})
		mustFail(t, err, codes.PermissionDenied, order.ReasonNotOwner)
	}
	for who, ctx := range map[string]context.Context{
		"herself": hers, "a module": t.Context(), "the shop's people": as(t, authn.Identity{Kind: authn.KindKey, Subject: "desk", Scopes: []string{"order.*"}}),
	} {
		if got, err := r.orders.GetOrder(ctx, get); err != nil || got.GetCustomerId() != customer {
			t.Errorf("%s: %v, %v", who, got, err)
		}
		got, err := r.orders.ListCustomerOrders(ctx, &orderv1.ListCustomerOrdersRequest{CustomerId: customer})
		if err != nil || len(got.GetOrders()) != 1 || got.GetOrders()[0].GetId() != o.GetId() {
			t.Errorf("%s: %v, %v", who, got, err)
		}
	}
	if got, err := r.orders.ListCustomerOrders(token(uuid.NewString()), &orderv1.ListCustomerOrdersRequest{CustomerId: "me"}); err != nil || len(got.GetOrders()) != 0 {
		t.Errorf("another customer's own: %v, %v", got, err)
	}
	// Page by page; a token of her pages is no token of another list.
	if _, err := r.orders.CreateOrder(hers, purchase(uuid.NewString())); err != nil {
		t.Fatal(err)
	}
	page, err := r.orders.ListCustomerOrders(hers, &orderv1.ListCustomerOrdersRequest{CustomerId: "me", PageSize: 1})
	if err != nil || len(page.GetOrders()) != 1 || page.GetOrders()[0].GetId() == o.GetId() {
		t.Fatal(page, err)
	}
	rest, err := r.orders.ListCustomerOrders(hers, &orderv1.ListCustomerOrdersRequest{CustomerId: "me", PageSize: 1, PageToken: page.GetNextPageToken()})
	if err != nil || len(rest.GetOrders()) != 1 || rest.GetOrders()[0].GetId() != o.GetId() || rest.GetNextPageToken() != "" {
		t.Error(rest, err)
	}
	_, err = r.orders.ListOrders(t.Context(), &orderv1.ListOrdersRequest{PageToken: page.GetNextPageToken()})
	mustFail(t, err, codes.InvalidArgument, order.ReasonPageTokenInvalid)
	_, err = r.orders.ListCustomerOrders(t.Context(), &orderv1.ListCustomerOrdersRequest{CustomerId: "you"})
	mustFail(t, err, codes.InvalidArgument, "INVALID_FIELDS")

	_, err = r.orders.CancelOrder(as(t, authn.Identity{Kind: authn.KindToken, Issuer: "cleave", Subject: "eve", Scopes: []string{"order.read"}}), calloff)
	mustFail(t, err, codes.PermissionDenied, order.ReasonScope) // she sees it, and that is all
	if got, err := r.orders.CancelOrder(hers, calloff); err != nil || got.GetState() != orderv1.OrderState_ORDER_STATE_CANCELLED {
		t.Errorf("her own: %v, %v", got, err)
	}
}
