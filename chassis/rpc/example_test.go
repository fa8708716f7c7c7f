package rpc_test

import (
	"context"
	"fmt"
	"log/slog"

	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/rpc"
)

// A service and a client meet in a registry. A go-micro service that exists already hands both to micro.NewService.
func Example() {
	reg, log := registry.NewMemoryRegistry(), slog.New(slog.DiscardHandler)
	s, err := rpc.NewServer(rpc.ServerConfig{
		Name: "greeter", Contract: grpc_health_v1.File_grpc_health_v1_health_proto, Registry: reg, Log: log, DrainWait: 1,
	})
	if err != nil {
		panic(err)
	}
	if err := s.Start(); err != nil {
		panic(err)
	}
	defer func() { _ = s.Stop() }()

	c, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: log})
	if err != nil {
		panic(err)
	}
	defer func() { _ = c.Close() }()
	var out grpc_health_v1.HealthCheckResponse
	err = c.Call(context.Background(), c.NewRequest("greeter", "Health.Check", &grpc_health_v1.HealthCheckRequest{}), &out)
	fmt.Println(out.GetStatus(), err)
	// Output: SERVING <nil>
}
