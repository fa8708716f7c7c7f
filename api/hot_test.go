package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/api/internal/openapi"
	"github.com/cleavehq/cleave/api/internal/policy"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
)

// instant is a client whose calls are answered at once.
type instant struct {
	client.Client
	answer []byte
}

func (i *instant) Call(_ context.Context, _ client.Request, rsp any, _ ...client.CallOption) error {
	m, _ := rsp.(proto.Message)
	return proto.Unmarshal(i.answer, m)
}

// nowhere is a writer that keeps nothing.
type nowhere struct{ h http.Header }

func (w *nowhere) Header() http.Header         { return w.h }
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w *nowhere) WriteHeader(int)             {}

// BenchmarkRequest is what the gateway itself costs: a GET of a public method, without a network and without a service.
func BenchmarkRequest(b *testing.B) {
	for name, override := range map[string]string{"plain": `{}`, "kept": `{"cache": {"max_age": "1h"}}`} {
		b.Run(name, func(b *testing.B) {
			answer, err := proto.Marshal(&cartv1.ShoppingCart{Id: "0192f5a0-0000-7000-8000-000000000001"})
			if err != nil {
				b.Fatal(err)
			}
			g, err := New(Config{Registry: registry.NewMemoryRegistry(), Client: &instant{client.DefaultClient, answer}, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			said, bad := policy.Overrides{}.Next(map[string][]byte{"shop.cart.v1.Cart/GetCart": []byte(override)})
			if len(bad) > 0 {
				b.Fatal(bad)
			}
			t, err := newTable([]*offer{offerOf("cart", "a", "1", cartv1.File_shop_cart_v1_cart_proto)}, nil, openapi.Info{Version: "1"}, said)
			if err != nil {
				b.Fatal(err)
			}
			g.table.Store(t)
			h := g.Handler()
			r := httptest.NewRequest(http.MethodGet, "/v1/carts/0192f5a0-0000-7000-8000-000000000001", http.NoBody)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(&nowhere{http.Header{}}, r)
			}
		})
	}
}
