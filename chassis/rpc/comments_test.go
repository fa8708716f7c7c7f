package rpc

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
)

// TestReflectionShowsTheComments: each stands before what it belongs to, as source that was parsed has it.
func TestReflectionShowsTheComments(t *testing.T) {
	texts := map[string]string{
		"shop.order.v1.Order": "a service", "shop.order.v1.Order.GetOrder": "a method", "shop.order.v1.PlacedOrder": "a message",
		"shop.order.v1.PlacedOrder.email": "a field", "shop.order.v1.OrderState": "an enum", "shop.order.v1.ORDER_STATE_PAID": "a value",
		"shop.order.v1.OrderPaid": "an event", "shop.type.v1.Money": "a message of an import",
	}
	r, err := newResolver(orderv1.File_shop_order_v1_order_proto, texts)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range texts {
		d, err := r.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments; got != " "+want+"\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	d, err := r.FindDescriptorByName("shop.order.v1.Order.GetOrder")
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(d.Options(), orderv1.File_shop_order_v1_order_proto.Services().Get(0).Methods().ByName("GetOrder").Options()) {
		t.Error("the options of a method were lost")
	}
}
