package host

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// Config says which modules a host runs, and on what.
type Config struct {
	// Modules to run, started in this order and stopped in the other.
	Modules []Module
	// Registry to register with, and to find other modules in.
	Registry registry.Registry
	// Broker for events, connected.
	Broker broker.Broker
	// DataURL and DataDir are data.Config's URL and Dir.
	DataURL, DataDir string
	// Listen is the address to listen on, without a port or with one ("127.0.0.1", "0.0.0.0:9000"); a port is for a host with one
	// module. Default 127.0.0.1 and any free port.
	Listen string
	// Advertise is the address others reach this host by, without a port; default Listen's.
	Advertise string
	// Version of the modules; in the registry.
	Version string
	// HostName names this host in the registry; default a new UUID.
	HostName string
	Log      *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
	// DrainWait is how long callers have to notice that a module left; default 1 s.
	DrainWait time.Duration
	// Metrics receives the client's metrics; may be nil.
	Metrics prometheus.Registerer
}

// Host runs modules in this process.
type Host struct {
	c      Config
	client *rpc.Client
	ctx    context.Context // ends when the host has stopped: what a module runs in the background
	cancel context.CancelFunc

	mu      sync.Mutex
	running []*running
}

// running is a module that was started.
type running struct {
	name   string
	db     *sql.DB
	server *rpc.Server
	stop   func(context.Context) error
}

// New makes a host that runs nothing yet. It fails when two modules have one name, or something needed is missing.
func New(c Config) (*Host, error) {
	switch {
	case len(c.Modules) == 0:
		return nil, errors.New("host: no modules")
	case c.Registry == nil || c.Broker == nil || c.Log == nil:
		return nil, errors.New("host: Registry, Broker and Log are needed")
	}
	seen := map[string]bool{}
	for _, m := range c.Modules {
		if m.Name == "" || m.Contract == nil || m.Start == nil {
			return nil, fmt.Errorf("host: module %q needs a name, a contract and a start function", m.Name)
		}
		if seen[m.Name] {
			return nil, fmt.Errorf("host: two modules are called %q", m.Name)
		}
		seen[m.Name] = true
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.HostName == "" {
		c.HostName = uuid.NewString()
	}
	cl, err := rpc.NewClient(rpc.ClientConfig{Registry: c.Registry, Broker: c.Broker, Log: c.Log, Metrics: c.Metrics})
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Host{c: c, client: cl, ctx: ctx, cancel: cancel}, nil
}

// Client calls modules, wherever they run.
func (h *Host) Client() client.Client { return h.client }

// Addresses returns the address of each running module, by name.
func (h *Host) Addresses() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]string, len(h.running))
	for _, r := range h.running {
		out[r.name] = r.server.Address()
	}
	return out
}

// Start opens the databases, starts the modules and registers them. When it returns nil all of them serve. When one fails, those
// that were started are stopped and its error is returned. ctx bounds the start only.
func (h *Host) Start(ctx context.Context) error {
	for _, m := range h.c.Modules {
		r, err := h.start(ctx, m)
		if err != nil {
			return errors.Join(fmt.Errorf("start %s: %w", m.Name, err), h.Shutdown(context.WithoutCancel(ctx)))
		}
		h.mu.Lock()
		h.running = append(h.running, r)
		h.mu.Unlock()
	}
	return nil
}
