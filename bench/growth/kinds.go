package main

import (
	"context"
	"log/slog"

	microgrpcclient "github.com/go-micro/plugins/v4/client/grpc"
	"github.com/go-micro/plugins/v4/registry/consul"
	microgrpcserver "github.com/go-micro/plugins/v4/server/grpc"
	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/bench/echo"
	"github.com/cleavehq/cleave/bench/internal/load"
	"github.com/cleavehq/cleave/chassis/discovery"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// Kinds of call.
const (
	direct = "cleave-direct"
	lane   = "cleave-lane"
	micro  = "go-micro-grpc"
)

// kinds are those that a part compares; one process has no instances to choose from.
func pathKinds() []string     { return []string{direct, lane, micro} }
func instanceKinds() []string { return []string{lane, micro} }

// kind is a way to serve and to call, as go-micro's interfaces.
type kind struct{ name string }

// serve serves h under name and returns the address, and how to stop. local is for direct calls only.
func (k kind) serve(name, id string, reg registry.Registry, local *rpc.Local, h echo.EchoHandler) (address string, stop func() error, err error) {
	var s server.Server
	if k.name == micro {
		s = microgrpcserver.NewServer(server.Name(name), server.Id(id), server.Registry(reg), server.Address("127.0.0.1:0"))
	} else {
		s, err = rpc.NewServer(rpc.ServerConfig{
			Name: name, ID: id, Contract: echo.File_echo_proto, Registry: reg, Log: slog.New(slog.DiscardHandler), Local: local, DrainWait: 1,
		})
	}
	if err != nil {
		return "", nil, err
	}
	if err := echo.RegisterEchoHandler(s, h); err != nil {
		return "", nil, err
	}
	if err := s.Start(); err != nil {
		return "", nil, err
	}
	if c, ok := s.(*rpc.Server); ok {
		return c.Address(), s.Stop, nil
	}
	return s.Options().Address, s.Stop, nil
}

// client chooses among the instances in reg as it does in production.
func (k kind) client(reg registry.Registry, local *rpc.Local) (client.Client, error) {
	if k.name == micro {
		return microgrpcclient.NewClient(client.Registry(reg)), nil
	}
	return rpc.NewClient(rpc.ClientConfig{
		Registry: reg, Log: slog.New(slog.DiscardHandler), Local: local, Metrics: prometheus.NewRegistry(),
	})
}

// to returns how to call the service of that name.
func to(name string, c client.Client) load.Say {
	s := echo.NewEchoService(name, c)
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) { return s.Say(ctx, in) }
}

// one is a registry in memory with one instance in it.
func one(name, address string) (registry.Registry, error) {
	reg := registry.NewMemoryRegistry()
	node := &registry.Node{Id: name + "-1", Address: address, Metadata: map[string]string{"lane": "1", "protocol": "grpc"}}
	return reg, reg.Register(&registry.Service{Name: name, Version: "1", Nodes: []*registry.Node{node}})
}

// real is a registry on a real Consul: our own, and go-micro's plugin.
func (k kind) real(addr string) (registry.Registry, error) {
	if k.name == micro {
		return consul.NewRegistry(registry.Addrs(addr)), nil
	}
	return discovery.NewConsul(discovery.ConsulConfig{Address: addr})
}
