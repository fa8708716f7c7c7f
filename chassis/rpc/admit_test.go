package rpc

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// Every wire asks whether a call may come in, and says what the caller says of its importance; a direct call is not asked about.
func TestCallsAreLetInWhereTheyComeIn(t *testing.T) {
	var full atomic.Bool
	var asked, left atomic.Int64
	var priority atomic.Value
	reg, h, local := registry.NewMemoryRegistry(), &shop{}, &Local{}
	s := startServer(t, ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1, Local: local,
		Admit: func(_ context.Context, md protoreflect.MethodDescriptor, said string) (func(error), error) {
			asked.Add(1)
			priority.Store(string(md.Name()) + " " + said)
			if full.Load() {
				return nil, problem.Unavailable(reasonOverloaded, "full")
			}
			return func(error) { left.Add(1) }, nil
		},
	}, h)
	wires := map[string]client.Client{
		"lane": dial(t, reg), "gRPC": newClient(t, ClientConfig{Registry: reg, Log: quiet(), NoLane: true}), "micro": stock(reg),
	}
	ctx := metadata.NewContext(t.Context(), metadata.Metadata{priorityHeader: "critical"})
	call := func(c client.Client) error {
		req := c.NewRequest("catalog", "Catalog.GetProduct", &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}})
		return c.Call(ctx, req, &catalogv1.Product{})
	}
	for name, c := range wires {
		t.Run(name, func(t *testing.T) {
			full.Store(false)
			before := asked.Load()
			if err := call(c); err != nil || asked.Load() == before || left.Load() == 0 || priority.Load() != "GetProduct critical" {
				t.Errorf("%v; asked %d times, for %q", err, asked.Load()-before, priority.Load())
			}
			left.Store(0)
			full.Store(true)
			served := h.calls.Load()
			if err := call(c); err == nil || !strings.Contains(err.Error(), "full") || h.calls.Load() != served {
				t.Errorf("it is full: %v", err)
			}
		})
	}
	before := asked.Load()
	if err := call(newClient(t, ClientConfig{Registry: reg, Log: quiet(), Local: local})); err != nil || asked.Load() != before {
		t.Errorf("a direct call: %v", err)
	}
	if _, err := healthpb.NewHealthClient(plain(t, s.Address())).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil || asked.Load() != before {
		t.Errorf("a health check: %v", err)
	}
	err := call(wires["gRPC"])
	wantProblem(t, err, codes.Unavailable, reasonOverloaded)
}
