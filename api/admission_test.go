package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/api/internal/openapi"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/resilience"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
)

// broken is a client with a bug.
type broken struct{ client.Client }

func (broken) Call(context.Context, client.Request, any, ...client.CallOption) error { panic("a bug") }

// However a call ends, its place is given back.
func TestAPanicGivesItsPlaceBack(t *testing.T) {
	gate, err := resilience.NewGate(t.Context(), resilience.GateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Registry: registry.NewMemoryRegistry(), Client: broken{client.DefaultClient}, Log: slog.New(slog.DiscardHandler), Gate: gate})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := newTable([]*offer{offerOf("cart", "a", "1", cartv1.File_shop_cart_v1_cart_proto)}, nil, openapi.Info{Version: "1"}, policy.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	g.table.Store(routes)
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/v1/carts/0192f5a0-0000-7000-8000-000000000001", http.NoBody),
		httptest.NewRequest(http.MethodPost, "/cart/Cart.GetCart", http.NoBody),
	} {
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%s %s: %d", r.Method, r.URL.Path, w.Code)
		}
	}
	limits := gate.Limits()
	if len(limits) != 1 || limits[0].Service != "cart" || limits[0].Running != 0 {
		t.Errorf("after a panic %+v", limits)
	}
}
