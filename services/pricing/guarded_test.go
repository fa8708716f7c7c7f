package pricing

import (
	"slices"
	"testing"

	"github.com/cleavehq/cleave/chassis/idempotency"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
)

// Whatever may not be sent again by itself is done once for a key.
func TestEveryCommandIsDoneOnce(t *testing.T) {
	got, want := append(guarded(), "Pricing.CreateQuote"), idempotency.Unsafe(pricingv1.File_shop_pricing_v1_pricing_proto)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("done once are %q, want %q", got, want)
	}
}
