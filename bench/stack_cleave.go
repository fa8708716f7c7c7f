package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/bench/echo"
	"github.com/cleavehq/cleave/chassis/resilience"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// Cleave is measured as the product runs it: trace, metrics, deadline, validation and retry budget are on.

func cleaveServer(reg registry.Registry, local *rpc.Local, shares, noLane bool) (*rpc.Server, error) {
	s, err := rpc.NewServer(rpc.ServerConfig{
		Name: "echo", Contract: echo.File_echo_proto, Registry: reg, Log: slog.New(slog.DiscardHandler), Local: local, SharesMemory: shares,
		NoLane: noLane,
	})
	if err != nil {
		return nil, err
	}
	if err := echo.RegisterEchoHandler(s, echoer{}); err != nil {
		return nil, err
	}
	err = s.Start()
	return s, err
}

// serveEcho serves with what c says.
func serveEcho(c rpc.ServerConfig) error {
	c.Name, c.Contract, c.Log = "echo", echo.File_echo_proto, slog.New(slog.DiscardHandler)
	s, err := rpc.NewServer(c)
	if err != nil {
		return err
	}
	if err := echo.RegisterEchoHandler(s, echoer{}); err != nil {
		return err
	}
	return s.Start()
}

func cleaveClient(reg registry.Registry, local *rpc.Local, noLane bool, metrics prometheus.Registerer) (say, error) {
	c, err := rpc.NewClient(rpc.ClientConfig{
		Registry: reg, Log: slog.New(slog.DiscardHandler), Local: local, NoLane: noLane, Metrics: metrics,
	})
	if err != nil {
		return nil, err
	}
	s := echo.NewEchoService("echo", client.Client(c))
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) { return s.Say(ctx, in) }, nil
}

// guardedClient calls directly, behind the circuit breakers and bulkheads that every host has.
func guardedClient(reg registry.Registry, local *rpc.Local, metrics prometheus.Registerer) (say, error) {
	c, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: slog.New(slog.DiscardHandler), Local: local, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	guard, err := resilience.NewClient(resilience.ClientConfig{Metrics: metrics})
	if err != nil {
		return nil, err
	}
	s := echo.NewEchoService("echo", guard.Wrap(c))
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) { return s.Say(ctx, in) }, nil
}

func serveCleave(noLane bool) func() (string, error) {
	return func() (string, error) {
		s, err := cleaveServer(registry.NewMemoryRegistry(), nil, false, noLane)
		if err != nil {
			return "", err
		}
		return s.Address(), nil
	}
}

func dialCleave(noLane bool) func(string) (say, error) {
	return func(address string) (say, error) {
		reg, err := alone("echo", address)
		if err != nil {
			return nil, err
		}
		return cleaveClient(reg, nil, noLane, prometheus.NewRegistry())
	}
}

// alone is a registry with one instance in it.
func alone(name, address string) (registry.Registry, error) {
	reg := registry.NewMemoryRegistry()
	node := &registry.Node{Id: name + "-1", Address: address, Metadata: map[string]string{"lane": "1"}}
	return reg, reg.Register(&registry.Service{Name: name, Version: "1", Nodes: []*registry.Node{node}})
}

// dialDirect has the server in the caller's process.
func dialDirect(shares bool) func(string) (say, error) {
	return func(string) (say, error) {
		reg, local := registry.NewMemoryRegistry(), &rpc.Local{}
		if _, err := cleaveServer(reg, local, shares, false); err != nil {
			return nil, err
		}
		return cleaveClient(reg, local, false, prometheus.NewRegistry())
	}
}
