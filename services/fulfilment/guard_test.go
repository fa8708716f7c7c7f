package fulfilment

import (
	"slices"
	"testing"

	"github.com/cleavehq/cleave/chassis/idempotency"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
)

// Every command that can't be sent again by its contract can be with a key.
func TestGuardedAreTheUnsafe(t *testing.T) {
	got, want := guarded(), idempotency.Unsafe(fulfilmentv1.File_shop_fulfilment_v1_fulfilment_proto)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("guarded %q, unsafe %q", got, want)
	}
}
