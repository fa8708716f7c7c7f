package rpc

import (
	"fmt"
	"maps"
	"net"
	"time"

	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/util/addr"
)

// registration is what the registry is told about this instance.
func (s *Server) registration(at net.Addr) (*registry.Service, error) {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return nil, fmt.Errorf("rpc: listening at %s: %w", at, err)
	}
	if s.c.Advertise != "" {
		host = s.c.Advertise
	}
	if host, err = addr.Extract(host); err != nil { // a wildcard becomes an address that others can reach
		return nil, fmt.Errorf("rpc: find an address to advertise: %w", err)
	}
	meta := map[string]string{
		"version": s.c.Version, "module": s.c.Name, "schema": SchemaHash(s.c.Contract), "protocol": "grpc,micro", "transport": "tcp",
		"started": time.Now().UTC().Format(time.RFC3339), "server": s.String(),
	}
	if !s.c.NoLane {
		meta[laneKey] = laneVersion
	}
	if s.tls != nil {
		meta[tlsKey] = tlsOn
	}
	maps.Copy(meta, s.c.Metadata)
	var endpoints []*registry.Endpoint
	for _, h := range s.handlers {
		if !h.Options().Internal {
			endpoints = append(endpoints, h.Endpoints()...)
		}
	}
	node := &registry.Node{Id: s.c.Name + "-" + s.c.ID, Address: net.JoinHostPort(host, port), Metadata: meta}
	return &registry.Service{Name: s.c.Name, Version: s.c.Version, Endpoints: endpoints, Nodes: []*registry.Node{node}}, nil
}

// register says whether the registry took it.
func (s *Server) register() bool {
	err := s.c.Registry.Register(s.service, registry.RegisterTTL(3*s.c.RegisterInterval))
	if err != nil {
		s.c.Log.Warn("not in the registry yet, will try again", "registry", s.c.Registry.String(), "error", err)
	}
	return err == nil
}

// stayRegistered repeats the registration: a registry that was restarted empty has it back within the interval.
func (s *Server) stayRegistered() {
	const again = time.Second
	timer := time.NewTimer(again)
	defer timer.Stop()
	for {
		select {
		case <-s.stopping:
			return
		case <-timer.C:
			if s.register() {
				timer.Reset(s.c.RegisterInterval)
			} else {
				timer.Reset(again)
			}
		}
	}
}

func (s *Server) deregister() {
	if err := s.c.Registry.Deregister(s.service); err != nil {
		s.c.Log.Warn("the registry didn't take us out", "registry", s.c.Registry.String(), "error", err)
	}
}
