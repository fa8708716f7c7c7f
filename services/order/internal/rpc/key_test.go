package rpc

import (
	"context"
	"slices"
	"testing"

	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

func TestKeyed(t *testing.T) {
	const id = "0192F5A0-0000-7000-8000-000000000001"
	for _, c := range []struct{ request, sent, want string }{
		{"", "", ""}, {id, "", "0192f5a0-0000-7000-8000-000000000001"}, {"", "Double-Click", "Double-Click"}, {id, "another", "0192f5a0-0000-7000-8000-000000000001"},
	} {
		ctx := metadata.NewContext(context.Background(), metadata.Metadata{"X-Other": "stays"})
		if c.sent != "" {
			ctx = idempotency.WithKey(ctx, c.sent)
		}
		ctx, key, err := keyed(ctx, c.request)
		if err != nil || key != c.want {
			t.Errorf("%+v: %q, %v", c, key, err)
		}
		if sent, ok := metadata.Get(ctx, idempotency.Header); ok {
			t.Errorf("%+v: %q goes on to the modules that are called", c, sent)
		}
		if other, _ := metadata.Get(ctx, "X-Other"); other != "stays" {
			t.Errorf("%+v: the other metadata is gone", c)
		}
	}
	if _, _, err := keyed(idempotency.WithKey(context.Background(), "two words"), ""); problem.From(err).Reason != idempotency.ReasonBadKey {
		t.Errorf("a key that is none: %v", err)
	}
}

// TestEveryUnsafeMethodHasANaturalKey: these two call other modules, and so have their key in their own rows.
func TestEveryUnsafeMethodHasANaturalKey(t *testing.T) {
	if got := idempotency.Unsafe(orderv1.File_shop_order_v1_order_proto); !slices.Equal(got, []string{"Order.CreateOrder", "Order.RefundOrder"}) {
		t.Errorf("%v need a key", got)
	}
}

// TestEveryStateHasItsName: the contract and the module call the states alike.
func TestEveryStateHasItsName(t *testing.T) {
	seen := map[orderv1.OrderState]bool{orderv1.OrderState_ORDER_STATE_UNSPECIFIED: true}
	for _, s := range sale.States() {
		if seen[state(s)] || filter(state(s)) != s {
			t.Errorf("%s is %s", s, state(s))
		}
		seen[state(s)] = true
	}
	if len(seen) != len(orderv1.OrderState_name) {
		t.Errorf("%d of %d states", len(seen), len(orderv1.OrderState_name))
	}
	for _, s := range []sale.RefundState{sale.Asked, sale.Done, sale.Refused} {
		if refund(sale.Refund{State: s}).GetState() == orderv1.RefundState_REFUND_STATE_UNSPECIFIED {
			t.Errorf("%s has no name in the contract", s)
		}
	}
}
