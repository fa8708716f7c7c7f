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

	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/health"
	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/resilience"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/chassis/topology"
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
	// Admin is where the process's own listener is (package admin), host:port; in the registry, unless it is empty.
	Admin string
	// Version of the modules; in the registry.
	Version string
	// Comments of the modules' contracts by full name, that reflection shows (rpc.ServerConfig); nil for none.
	Comments map[string]string
	// HostName names this host in the registry and in the topology; default a new UUID. Processes that do the same work may share one.
	HostName string
	// Topology says how the calls of each module are split among hosts, and which modules run in this one; see Follow. Nil: a module
	// runs where it is started, and all of its instances are alike.
	Topology *topology.Table
	Log      *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
	// DrainWait is how long callers have to notice that a module left; default 1 s.
	DrainWait time.Duration
	// Metrics receives the metrics of the client, the outboxes and the inboxes; may be nil.
	Metrics prometheus.Registerer
	// Tracer records what the modules do; nil for nothing.
	Tracer *telemetry.Tracer
	// Fault holds the failpoints that the operator armed; nil for none.
	Fault *fault.Points
	// Inject does to calls what operators ask for while it runs; nil when they may not.
	Inject *fault.Injector
	// Health is told of the modules' databases; may be nil.
	Health *health.Process
	// LeaveUnready makes a module whose database is away say NOT_SERVING by the gRPC health service, so that the registry passes it over until the
	// database is back. When that is the database of every instance, the module is gone from the registry then, and its routes with it.
	LeaveUnready bool
	// Guard keeps calls from what is ill, those of the modules and those of Client's users; nil for none.
	Guard *resilience.Client
	// Gate lets calls in that come over a wire, as many as the modules can do; nil lets all in.
	Gate *resilience.Gate
	// Careless leaves out what rpc.ClientConfig.Careless does; for tests.
	Careless bool
	// Mesh gives each module an identity, by which it is reached and calls; nil for none.
	Mesh *mesh.Mesh
	// As is who Client's users are: whose identity Client has in the mesh (without one it isn't used for calls to elsewhere), and by which name a
	// partition knows them.
	As string
	// Remote makes modules of this host call each other over the wire, as if they ran elsewhere. Else their calls are direct.
	Remote bool
	// Watch checks modules that say SharesMemory; for tests.
	Watch *rpc.Watch
}

// Host runs modules in this process.
type Host struct {
	c      Config
	client caller
	calls  client.Client // the client, guarded
	events *outbox.Metrics
	local  *rpc.Local      // nil when every call is remote
	ctx    context.Context // ends when the host has stopped: what a module runs in the background
	cancel context.CancelFunc

	placing sync.Mutex // held while modules are started or stopped
	closed  bool       // nothing is started any more; under placing

	mu      sync.Mutex
	running []*running
}

// running is a module that was started.
type running struct {
	name   string
	db     *sql.DB
	server *rpc.Server
	client *ownClient         // in a mesh; else nil
	cancel context.CancelFunc // ends the context that the module was started with
	stop   func(context.Context) error
	health func() // ends the look at the database
	relay  func() // ends the relay and waits for it
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
	var local *rpc.Local
	if !c.Remote {
		local = &rpc.Local{Watch: c.Watch}
	}
	cl, err := rpc.NewClient(clientConfig(c, local))
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	m, err := outbox.NewMetrics(c.Metrics)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("host: %w", err), cl.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &Host{c: c, client: cl, calls: guarded(c, c.As, cl), events: m, local: local, ctx: ctx, cancel: cancel}
	if err := h.collect(c.Metrics); err != nil {
		return nil, errors.Join(fmt.Errorf("host: %w", err), cl.Close())
	}
	return h, nil
}

// Client calls modules, wherever they run: those of this host directly, unless Config says Remote.
func (h *Host) Client() client.Client { return h.calls }

// Instances are those of other hosts that this one has called.
func (h *Host) Instances() []rpc.Instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.client.Instances()
	for _, r := range h.running {
		if r.client != nil {
			all = append(all, r.client.Instances()...)
		}
	}
	return all
}

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

// Start opens the databases, starts the modules that the topology places here, all of them without one, and registers them. When it
// returns nil they serve. When one fails, those that were started are stopped and its error is returned. ctx bounds the start only.
func (h *Host) Start(ctx context.Context) error {
	if err := h.introduce(ctx); err != nil {
		return errors.Join(err, h.Shutdown(context.WithoutCancel(ctx)))
	}
	h.placing.Lock()
	for _, m := range h.c.Modules {
		if !h.c.Topology.Places(m.Name, h.c.HostName) {
			h.c.Log.InfoContext(ctx, "module runs elsewhere, as the topology says", "module", m.Name)
			continue
		}
		if err := h.run(ctx, m); err != nil {
			h.placing.Unlock()
			return errors.Join(fmt.Errorf("start %s: %w", m.Name, err), h.Shutdown(context.WithoutCancel(ctx)))
		}
	}
	h.placing.Unlock()
	return nil
}

// run starts a module and remembers it.
func (h *Host) run(ctx context.Context, m Module) error {
	r, err := h.start(ctx, m)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.running = append(h.running, r)
	h.mu.Unlock()
	return nil
}
