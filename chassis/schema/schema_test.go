package schema_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/schema"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// serve starts a server with the catalogue's contract; no method of it is called.
func serve(t *testing.T) string {
	t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: registry.NewMemoryRegistry(),
		Log: slog.New(slog.DiscardHandler), DrainWait: time.Millisecond,
	})
	if err == nil {
		err = catalogv1.RegisterCatalogHandler(s, struct{ catalogv1.CatalogHandler }{})
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s.Address()
}

func TestFetchLearnsTheWholeContract(t *testing.T) {
	c, err := schema.Fetch(t.Context(), serve(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Events) != 1 || c.Events[0].FullName() != "shop.catalog.v1.ProductChanged" {
		t.Errorf("events %v: they are in a file that the service's own doesn't import", c.Events)
	}
	if len(c.Services) != 1 || c.Services[0].FullName() != "shop.catalog.v1.Catalog" {
		t.Fatalf("services %v", c.Services)
	}
	want := catalogv1.File_shop_catalog_v1_catalog_proto.Services().Get(0)
	if got := c.Services[0].Methods().Len(); got != want.Methods().Len() {
		t.Errorf("%d methods, want %d", got, want.Methods().Len())
	}
	get := c.Services[0].Methods().ByName("GetProduct")
	rules := schema.Rules(get)
	if len(rules) != 2 || rules[0].GetGet() != "/v1/products/{id}" || rules[1].GetGet() != "/v1/products/by-handle/{handle}" {
		t.Errorf("rules %v", rules)
	}
	// What it imports is there too, and is not the one that is linked into this binary.
	price := get.Output().Fields().ByName("variants").Message().Fields().ByName("price").Message()
	if price.FullName() != "shop.type.v1.Money" {
		t.Errorf("a price is a %v", price)
	}
	if _, err := c.Types.FindMessageByName("shop.type.v1.Money"); err != nil {
		t.Error(err)
	}
}

func TestFetchFails(t *testing.T) {
	// A server without reflection.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	go func() { _ = g.Serve(ln) }()
	defer g.Stop()
	_, err = schema.Fetch(t.Context(), ln.Addr().String())
	if err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("no reflection: %v", err)
	}
	// Nobody there.
	g.Stop()
	if _, err := schema.Fetch(t.Context(), ln.Addr().String()); err == nil {
		t.Error("an answer from nobody")
	}
	// One that never answers.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := schema.Fetch(ctx, mute.Addr().String()); err == nil {
		t.Error("an answer from a mute server")
	}
}

func ExampleRules() {
	md := catalogv1.File_shop_catalog_v1_catalog_proto.Services().Get(0).Methods().ByName("SearchProducts")
	for _, r := range schema.Rules(md) {
		fmt.Println("GET", r.GetGet())
	}
	health := grpc_health_v1.File_grpc_health_v1_health_proto.Services().Get(0).Methods().ByName("Check")
	fmt.Println(len(schema.Rules(health)))
	// Output:
	// GET /v1/products:search
	// 0
}
