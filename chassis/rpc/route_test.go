package rpc

import (
	"context"
	"sync/atomic"
	"testing"

	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// to is a router that sends all calls to one part.
type to struct{ host, version string }

func (r to) Route(service string, sticky func(string) string) (host, version string, ok bool) {
	if service != "catalog" {
		return "", "", false
	}
	if h := sticky("x-host"); h != "" {
		return h, "", true
	}
	return r.host, r.version, r != to{}
}

// Two hosts have a catalogue, one of them in this process.
func TestCallsGoWhereTheRouterSays(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	local := &Local{}
	var here, there atomic.Int64
	at := func(id, host, version string, n *atomic.Int64, l *Local) *Server {
		return startServer(t, ServerConfig{
			Name: "catalog", ID: id, Version: version, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(),
			DrainWait: 1, Metadata: map[string]string{"host": host}, Local: l,
		}, &shop{get: func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
			n.Add(1)
			return nil
		}})
	}
	at("a", "main", "1", &here, local)
	away := at("b", "new", "2", &there, nil)
	for _, c := range []struct {
		router      to
		ctx         context.Context
		here, there int64
	}{
		{to{host: "main"}, t.Context(), 10, 0},
		{to{host: "new"}, t.Context(), 0, 10},
		{to{version: "2"}, t.Context(), 0, 10},
		{to{version: "1"}, t.Context(), 10, 0},
		{to{host: "main"}, metadata.NewContext(t.Context(), metadata.Metadata{"X-Host": "new"}), 0, 10},
		{to{host: "main"}, WithVersion(t.Context(), "catalog", "2"), 0, 10},
		{to{}, WithVersion(t.Context(), "catalog", "2"), 0, 10},
		{to{host: "main"}, WithVersion(t.Context(), "cart", "2"), 10, 0},
		{to{host: "new"}, WithVersion(t.Context(), "catalog", "1"), 10, 0},
		{to{}, t.Context(), 10, 0}, // no rule: the one that is near
	} {
		here.Store(0)
		there.Store(0)
		s := catalogv1.NewCatalogService("catalog", newClient(t, ClientConfig{Registry: reg, Log: quiet(), Local: local, Router: c.router}))
		for range 10 {
			if _, err := s.GetProduct(c.ctx, &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}}); err != nil {
				t.Fatal(err)
			}
		}
		if here.Load() != c.here || there.Load() != c.there {
			t.Errorf("%+v: %d here, %d there", c.router, here.Load(), there.Load())
		}
	}
	// A part that nobody can be reached in is no reason to fail.
	if err := away.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, router := range []to{{host: "new"}, {host: "nowhere"}} {
		s := catalogv1.NewCatalogService("catalog", newClient(t, ClientConfig{Registry: reg, Log: quiet(), Local: local, Router: router}))
		if _, err := s.GetProduct(t.Context(), &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}}); err != nil {
			t.Errorf("%+v: %v", router, err)
		}
	}
}
