package rpc

import (
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/connectivity"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// onlyPeer is the one peer that c has.
func onlyPeer(t *testing.T, c *Client) *peer {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.peers) != 1 {
		t.Fatalf("%d peers", len(c.peers))
	}
	for _, p := range c.peers {
		return p
	}
	return nil
}

func TestTheLaneIsTakenWhereBothKnowIt(t *testing.T) {
	for name, c := range map[string]struct {
		server, client bool // know it
		opts           func(*Server) []client.CallOption
		lane           bool
	}{
		"both":           {true, true, nil, true},
		"the server not": {false, true, nil, false},
		"the client not": {true, false, nil, false},
		"an address": {true, true, func(s *Server) []client.CallOption {
			return []client.CallOption{client.WithAddress(s.Address())}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			reg := registry.NewMemoryRegistry()
			s := startServer(t, ServerConfig{
				Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1, NoLane: !c.server,
			}, &shop{})
			cl := newClient(t, ClientConfig{Registry: reg, Log: quiet(), NoLane: !c.client})
			var opts []client.CallOption
			if c.opts != nil {
				opts = c.opts(s)
			}
			if err := get(t.Context(), cl, opts...); err != nil {
				t.Fatal(err)
			}
			p := onlyPeer(t, cl)
			if lane, grpc := p.lanes.client.Load() != nil, p.conn.GetState() == connectivity.Ready; lane != c.lane || grpc == c.lane {
				t.Errorf("lane %v, gRPC %v", lane, grpc)
			}
		})
	}
}

// Who says that it knows the lane and doesn't, because something stands between or its metadata are old, is called over gRPC.
func TestFallsBackToGRPC(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	startServer(t, ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1, NoLane: true,
		Metadata: map[string]string{laneKey: laneVersion},
	}, &shop{})
	c := dial(t, reg)
	for range 3 {
		if err := create(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	st, err := catalogv1.NewCatalogService("catalog", c).ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := st.Recv(); err != nil || p.GetId() != "a" {
		t.Errorf("got %v, %v", p, err)
	}
	_ = st.Close()
	if onlyPeer(t, c).ejectedAt(time.Now()) {
		t.Error("it was ejected")
	}
}

// One lane to a peer, however many call at once, and one more after it was lost.
func TestOneLaneToAPeer(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	s := serve(t, reg, "1", &shop{})
	c := dial(t, reg)
	lanes := func() int {
		s.lane.mu.Lock()
		defer s.lane.mu.Unlock()
		return len(s.lane.conns)
	}
	for range 2 {
		got := make(chan error, 50)
		for range cap(got) {
			go func() { got <- get(t.Context(), c) }()
		}
		for range cap(got) {
			if err := <-got; err != nil {
				t.Fatal(err)
			}
		}
		if n := lanes(); n != 1 {
			t.Fatalf("%d connections", n)
		}
		if err := onlyPeer(t, c).lanes.client.Load().Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server noticed", func() bool { return lanes() == 0 })
	}
}
