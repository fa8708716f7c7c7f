package cart

import (
	"slices"
	"testing"

	"github.com/cleavehq/cleave/chassis/idempotency"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
)

// Whatever may not be sent again by itself is done once for a key.
func TestEveryCommandIsDoneOnce(t *testing.T) {
	got, want := guarded(), idempotency.Unsafe(cartv1.File_shop_cart_v1_cart_proto)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("done once are %q, want %q", got, want)
	}
}
