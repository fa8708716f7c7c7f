package rpc

import (
	"context"
	"testing"

	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// An Idempotency-Key is of one command. What a handler calls is another one: with the same key it would pass for a repeat.
func TestAKeyGoesOneHop(t *testing.T) {
	const header = "Idempotency-Key"
	reg := registry.NewMemoryRegistry()
	cl := catalogv1.NewCatalogService("catalog", dial(t, reg))
	create := &catalogv1.CreateProductRequest{Product: valid(anID)}
	var got []string
	own := ""
	serve(t, reg, "1", &shop{
		create: func(ctx context.Context, _ *catalogv1.CreateProductRequest, out *catalogv1.Product) error {
			out.Id = anID
			key, _ := metadata.Get(ctx, header)
			got = append(got, key)
			if own != "" {
				ctx = metadata.Set(ctx, header, own)
			}
			_, err := cl.GetProduct(ctx, &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}})
			return err
		},
		get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
			key, _ := metadata.Get(ctx, header)
			tenant, _ := metadata.Get(ctx, "Tenant")
			got = append(got, key, tenant)
			return nil
		},
	})
	ctx := metadata.NewContext(t.Context(), metadata.Metadata{header: "k1", "Tenant": "t1"})
	for _, own = range []string{"", "k2"} {
		got = nil
		if _, err := cl.CreateProduct(ctx, create); err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got[0] != "k1" || got[1] != own || got[2] != "t1" {
			t.Errorf("key, then key and tenant: %q, want k1, %q and t1", got, own)
		}
	}
}
