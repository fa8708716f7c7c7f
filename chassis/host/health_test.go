package host

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/health"
)

// A module whose PostgreSQL goes away is not ready, says so to Consul, and is ready again when it is back.
func TestADatabaseGoesAway(t *testing.T) {
	way, url := datatest.Through(t, datatest.PostgresURL(t, "shelf"))
	c := config(t, module("shelf", nil))
	c.DataURL, c.Health, c.LeaveUnready = url, &health.Process{}, true
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Shutdown(context.Background()) }()
	c.Health.Started()
	conn, err := grpc.NewClient(h.Addresses()["shelf"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	serving := func(service string) bool {
		rsp, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		return err == nil && rsp.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
	}
	state := func(want bool) func() bool {
		return func() bool {
			ready, _ := c.Health.Ready()
			return ready == want && serving("") == want && serving("shop.catalog.v1.Catalog") == want
		}
	}
	eventually(t, "it is ready", state(true))
	way.Cut(true)
	eventually(t, "it is not ready without its database", state(false))
	way.Cut(false)
	eventually(t, "it is ready again", state(true))
}
