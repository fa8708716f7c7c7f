package mesh_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func ExampleNewIntentions() {
	in := mesh.NewIntentions([]mesh.Intention{
		{Source: "order", Destination: "payment", Allow: true},
		{Source: mesh.Any, Destination: "payment", Allow: false},
		{Source: "gateway", Destination: mesh.Any, Allow: true},
	}, false)
	fmt.Println("order to payment:", in.Allows("order", "payment"))
	fmt.Println("gateway to catalog:", in.Allows("gateway", "catalog"))
	fmt.Println("gateway to payment:", in.Allows("gateway", "payment"))
	// Output:
	// order to payment: true
	// gateway to catalog: true
	// gateway to payment: false
}

// A service that any go-micro client with an identity may call, when an intention allows it, with certificates from the Consul on this machine.
func Example() {
	ctx := context.Background()
	consul, err := api.NewClient(api.DefaultConfig())
	if err != nil {
		panic(err)
	}
	source, err := mesh.NewConsul(mesh.ConsulConfig{Client: consul, GRPC: "127.0.0.1:8502"})
	if err != nil {
		panic(err)
	}
	m, err := mesh.New(mesh.Config{Source: source, Log: slog.Default()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = m.Close() }()
	catalog, err := m.Identity(ctx, "catalog")
	if err != nil {
		panic(err)
	}
	conf := rpc.ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: registry.NewMemoryRegistry(), Log: slog.Default(),
	}
	catalog.Server(&conf)
	s, err := rpc.NewServer(conf)
	if err != nil {
		panic(err)
	}
	_ = s.Start()
}
