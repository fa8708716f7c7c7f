package rpc

import (
	"testing"

	"go-micro.dev/v4/registry"

	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
)

// What a contract says of a method is known also when its request is declared in another file than its service.
func TestAMethodOfAnotherFile(t *testing.T) {
	c := dial(t, registry.NewMemoryRegistry())
	o := c.callOptions(nil)
	info, err := c.method(c.NewRequest("pricing", "Pricing.RedeemCoupon", &pricingv1.RedeemCouponRequest{}), o)
	if err != nil || !info.idempotent || info.clientStream || info.path != "/shop.pricing.v1.Pricing/RedeemCoupon" {
		t.Errorf("%+v, %v", info, err)
	}
}
