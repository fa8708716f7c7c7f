package api

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/util/addr"

	"github.com/cleavehq/cleave/chassis/admin"
)

const (
	registerEvery = 10 * time.Second
	registerAgain = time.Second
)

// entry is the gateway in the registry.
type entry struct {
	c       Config
	service *registry.Service
	mu      sync.Mutex
	left    bool
}

func newEntry(c Config, at net.Addr) (*entry, error) {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return nil, fmt.Errorf("api: listening at %s: %w", at, err)
	}
	if c.Advertise != "" {
		host = c.Advertise
	}
	if host, err = addr.Extract(host); err != nil { // a wildcard becomes an address that others can reach
		return nil, fmt.Errorf("api: find an address to advertise: %w", err)
	}
	check := "http:/healthz"
	if c.TLS != nil {
		check = "tcp" // the checker doesn't know who signed our certificate
	}
	md := map[string]string{
		"version": c.Version, "module": Name, "protocol": "http", "transport": "tcp", "check": check,
		"started": c.Now().UTC().Format(time.RFC3339),
	}
	if c.Admin != "" {
		md[admin.Key] = c.Admin
	}
	return &entry{c: c, service: &registry.Service{Name: Name, Version: c.Version, Nodes: []*registry.Node{{
		Id: Name + "-" + uuid.NewString(), Address: net.JoinHostPort(host, port), Metadata: md,
	}}}}, nil
}

// keep registers, and again and again, until ctx ends or the entry has left.
func (e *entry) keep(ctx context.Context) {
	for ctx.Err() == nil {
		pause := registerEvery
		if err := e.register(); err != nil {
			e.c.Log.WarnContext(ctx, "the gateway is not in the registry yet, will try again", "error", err)
			pause = registerAgain
		}
		wait(ctx, pause)
	}
}

func (e *entry) register() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left {
		return nil
	}
	return e.c.Registry.Register(e.service, registry.RegisterTTL(3*registerEvery))
}

func (e *entry) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.left = true
	if err := e.c.Registry.Deregister(e.service); err != nil {
		e.c.Log.Warn("the registry didn't take the gateway out", "error", err)
	}
}
