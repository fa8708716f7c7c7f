package main

import (
	"context"

	microgrpcclient "github.com/go-micro/plugins/v4/client/grpc"
	microgrpcserver "github.com/go-micro/plugins/v4/server/grpc"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/bench/echo"
)

func serveMicro() (string, error) {
	return started(server.NewRPCServer(server.Name("echo"), server.Registry(registry.NewMemoryRegistry()), server.Address("127.0.0.1:0")))
}

func serveMicroGRPC() (string, error) {
	return started(microgrpcserver.NewServer(server.Name("echo"), server.Registry(registry.NewMemoryRegistry()), server.Address("127.0.0.1:0")))
}

func started(s server.Server) (string, error) {
	if err := echo.RegisterEchoHandler(s, echoer{}); err != nil {
		return "", err
	}
	if err := s.Start(); err != nil {
		return "", err
	}
	return s.Options().Address, nil
}

func dialMicro(address string) (say, error) {
	return called(client.NewClient(client.Registry(registry.NewMemoryRegistry()), client.ContentType("application/protobuf"), client.PoolSize(128)), address)
}

func dialMicroGRPC(address string) (say, error) {
	return called(microgrpcclient.NewClient(client.Registry(registry.NewMemoryRegistry())), address)
}

func called(c client.Client, address string) (say, error) {
	s := echo.NewEchoService("echo", c)
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) {
		return s.Say(ctx, in, client.WithAddress(address))
	}, nil
}
