package host

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cleavehq/cleave/chassis/admin"
	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/resilience"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

func (h *Host) start(ctx context.Context, m Module) (_ *running, err error) {
	log := h.c.Log.With("module", m.Name)
	r := &running{name: m.Name}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close(ctx))
		}
	}()
	r.db, err = data.Open(ctx, data.Config{
		URL: h.c.DataURL, Dir: h.c.DataDir, Module: m.Name, Migrations: m.Migrations,
		Schemas: []data.Schema{outbox.Schema(), idempotency.Schema()},
	})
	if err != nil {
		return nil, err
	}
	identity, err := h.identity(ctx, m.Name)
	if err != nil {
		return nil, err
	}
	listen, advertise := h.addresses()
	conf := rpc.ServerConfig{
		Name: m.Name, ID: uuid.NewString(), Version: h.c.Version, Address: listen, Advertise: advertise, Contract: m.Contract,
		Comments: h.c.Comments,
		Registry: h.c.Registry, Broker: h.c.Broker, Log: log, DrainWait: h.c.DrainWait,
		Local: h.local, SharesMemory: m.SharesMemory, Tracer: h.c.Tracer.For(m.Name), Metrics: h.c.Metrics,
		Metadata: h.metadata(m), Admit: h.admit(m.Name), Abortable: h.c.Inject != nil,
	}
	if identity != nil {
		identity.Server(&conf)
	}
	if r.server, err = rpc.NewServer(conf); err != nil {
		return nil, err
	}
	calls, err := h.callsOf(r, identity)
	if err != nil {
		return nil, err
	}
	if err := h.faulty(m, r.server); err != nil {
		return nil, err
	}
	if err := h.injected(m, r.server); err != nil {
		return nil, err
	}
	owner := m.Name + "." + uuid.NewString()
	if r.relay, err = h.relay(m.Name, r.db, owner, log); err != nil {
		return nil, err
	}
	inbox := outbox.Inbox{Now: h.c.Now, Log: log, Fault: h.c.Fault, Metrics: h.events, Tracer: h.c.Tracer.For(m.Name)}
	deps := Deps{
		Name: m.Name, DB: r.db, OpenDB: h.openDB, Client: calls, Broker: inbox.On(h.c.Broker), Log: log, Now: h.c.Now, Owner: owner, Fault: h.c.Fault,
		Metrics: h.c.Metrics, Stopping: r.server.Stopping(),
	}
	var own context.Context
	background := telemetry.WithTracer(h.ctx, h.c.Tracer.For(m.Name))
	own, r.cancel = context.WithCancel(resilience.WithLevel(background, resilience.Critical)) // what a worker goes on with was begun
	if r.stop, err = m.Start(own, deps, r.server); err != nil {
		return nil, err
	}
	if err := r.server.Start(); err != nil {
		return nil, err
	}
	if r.health, err = h.watched(ctx, r); err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "module serves", "address", r.server.Address())
	return r, nil
}

// metadata is what the registry is told of a module, beside what its server says itself.
func (h *Host) metadata(m Module) map[string]string {
	md := map[string]string{"module": m.Name, "host": h.c.HostName}
	if h.c.Admin != "" {
		md[admin.Key] = h.c.Admin
	}
	return md
}

func (h *Host) openDB(ctx context.Context, name string, migrations fs.FS) (*sql.DB, error) {
	return data.Open(ctx, data.Config{URL: h.c.DataURL, Dir: h.c.DataDir, Module: name, Migrations: migrations})
}

// relay publishes the module's events until the result is called, which waits for its end.
func (h *Host) relay(module string, db *sql.DB, owner string, log *slog.Logger) (stop func(), err error) {
	relay, err := outbox.NewRelay(outbox.RelayConfig{
		DB: db, Broker: h.c.Broker, Owner: owner, Module: module, Log: log, Now: h.c.Now, Fault: h.c.Fault, Metrics: h.events,
		Tracer: h.c.Tracer.For(module),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := relay.Run(ctx); err != nil {
			log.ErrorContext(ctx, "the relay ended", "error", err)
		}
	})
	return func() { cancel(); done.Wait() }, nil
}

// addresses fills in the port that Listen may lack.
func (h *Host) addresses() (listen, advertise string) {
	listen = h.c.Listen
	if listen == "" {
		listen = "127.0.0.1"
	}
	if _, _, err := net.SplitHostPort(listen); err != nil {
		listen = net.JoinHostPort(listen, "0")
	}
	return listen, h.c.Advertise
}

// Shutdown drains every module at once: each leaves the registry, goes on serving until callers have noticed, finishes what runs,
// and stops. It returns when all have, or when ctx ends: then calls that still run are cut. A second call does nothing.
func (h *Host) Shutdown(ctx context.Context) error {
	h.placing.Lock()
	defer h.placing.Unlock()
	h.closed = true
	h.mu.Lock()
	running := h.running
	h.running = nil
	h.mu.Unlock()

	var drain errgroup.Group
	for _, r := range running {
		drain.Go(func() error { return r.server.Shutdown(ctx) })
	}
	errs := []error{drain.Wait()}
	h.cancel()
	for i := len(running) - 1; i >= 0; i-- {
		running[i].server = nil
		errs = append(errs, running[i].close(ctx))
	}
	return errors.Join(append(errs, h.client.Close())...)
}

// close ends what was begun of a module, the last first.
func (r *running) close(ctx context.Context) error {
	var errs []error
	if r.health != nil {
		r.health()
	}
	if r.server != nil {
		errs = append(errs, r.server.Shutdown(ctx))
	}
	if r.cancel != nil {
		r.cancel()
	}
	if r.stop != nil {
		errs = append(errs, r.stop(ctx))
	}
	if r.relay != nil {
		r.relay()
	}
	if r.client != nil {
		errs = append(errs, r.client.Close())
	}
	if r.db != nil {
		errs = append(errs, r.db.Close())
	}
	return errors.Join(errs...)
}
