package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/util/addr"
	"golang.org/x/sync/errgroup"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/admin"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/proto/comments"
)

// serving is what a process serves.
type serving struct {
	modules         []host.Module
	gateway, sample bool
}

// serve runs until ctx ends, and then stops in good order: the gateway first, then the modules, then what they stand on.
func (a *app) serve(ctx context.Context, s settings, log *slog.Logger, what serving) (err error) {
	var p parts
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := a.join(ctx, &s, log, what); err != nil {
		return err
	}
	reg, err := p.registry(s, log)
	if err != nil {
		return err
	}
	table, err := p.topology(ctx, s, log)
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	ids, err := p.identities(s, metrics, log)
	if err != nil {
		return err
	}
	own, err := p.admin(ctx, s, metrics, log)
	if err != nil {
		return err
	}
	tracer, err := p.telemetry(ctx, s, processName(s, what), metrics, own, a.logs, log)
	if err != nil {
		return err
	}
	live, err := a.live(ctx, &p, s, log, metrics, own)
	if err != nil {
		return err
	}
	well := healthPages(own)
	guard, err := newGuards(ctx, &p, s, metrics, log)
	if err != nil {
		return err
	}
	inject, err := p.injector(ctx, s, log, metrics, own, guard.reset)
	if err != nil {
		return err
	}
	own.Handle("GET /resilience", guard)
	var ln net.Listener
	if what.gateway {
		b := ballast()
		defer runtime.KeepAlive(b)
	}
	if what.gateway { // before anything is started: a port that is taken is the most common mistake
		if ln, err = listen(ctx, s.Listen); err != nil {
			return err
		}
		p.add(func() error { return ignoreClosed(ln.Close()) })
	}
	var calls client.Client
	var h *host.Host
	brokerIs := "none"
	var b broker.Broker
	if len(what.modules) > 0 {
		var at string
		if b, at, brokerIs, err = p.broker(s, log); err != nil {
			return err
		}
		name := hostName(s, what)
		if err := p.note(s, name, at); err != nil {
			return err
		}
		points, err := fault.Parse(s.Failpoints)
		if err != nil {
			return &usageError{err}
		}
		if points != nil {
			log.WarnContext(ctx, "failpoints are armed: this process is here to fail", "failpoints", points.String())
		}
		conf := host.Config{
			Modules: what.modules, Registry: reg, Broker: b, DataURL: s.Data.URL, DataDir: s.Data.Dir, Advertise: s.Advertise,
			Version: cmp.Or(s.Module.Version, version().Version), HostName: name, Log: log, Metrics: metrics, Fault: points, Inject: inject,
			Remote: !s.Direct, Topology: table, Now: a.env.Now, Guard: guard.client, Gate: guard.gate, Careless: guard.off(), Admin: adminAt(s, own),
			Comments: comments.All(), Mesh: ids, Tracer: tracer, Health: well, LeaveUnready: s.Health.Leave,
		}
		if what.gateway {
			conf.As = api.Name
		}
		if !what.gateway {
			conf.Listen = s.Listen
		}
		if h, err = host.New(conf); err != nil {
			return &usageError{err}
		}
		p.add(func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
			defer cancel()
			return h.Shutdown(ctx)
		})
		if err := h.Start(ctx); err != nil {
			return err
		}
		calls = guard.careless(h.Client())
		guard.instances.Store(&instances{h.Instances})
		p.watchBroker(well, b)
	} else {
		as, err := identity(ctx, ids, api.Name)
		if err != nil {
			return err
		}
		raw, err := guard.open(&p, rpc.ClientConfig{Registry: reg, Log: log, Router: table, Metrics: metrics}, as)
		if err != nil {
			return err
		}
		guard.instances.Store(&instances{raw.Instances})
		calls = guard.wrap(inject.Client(api.Name, raw))
	}
	if what.gateway && len(what.modules) == 0 {
		if b, brokerIs, err = p.gatewayBroker(ctx, s, log); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return own.Serve(ctx) })
	g.Go(func() error { return guard.follow(ctx) })
	if what.gateway {
		as, err := identity(ctx, ids, api.Name)
		if err != nil {
			return err
		}
		copies, err := p.client(rpc.ClientConfig{Registry: reg, Log: log, Router: table}, as) // of its own: what becomes of copies must not open a circuit
		if err != nil {
			return err
		}
		conf, err := edge(s, calls, api.Config{
			Registry: reg, Client: calls, Log: log, Metrics: metrics, Version: version().Version, Advertise: s.Advertise,
			Admin: adminAt(s, own), Mirrors: copies, Broker: b, Gate: guard.gate, Timeout: guard.patience(), Tracer: tracer.For(api.Name),
		})
		if err != nil {
			return err
		}
		if err := secured(ctx, ids, &conf); err != nil {
			return err
		}
		gw, err := api.New(a.logged(s, conf))
		if err != nil {
			return err
		}
		tune(live, gw)
		if len(what.modules) > 0 {
			if err := adminKey(ctx, s, log); err != nil {
				return err
			}
		}
		for pattern, page := range gw.AdminHandlers() {
			own.Handle(pattern, page)
		}
		g.Go(func() error { return gw.Serve(ctx, ln) })
	}
	well.Started()
	g.Go(func() error { return a.started(ctx, s, log, what, ln, calls, brokerIs) })
	g.Go(func() error {
		if h == nil {
			<-ctx.Done()
			return nil
		}
		h.Follow(ctx)
		return nil
	})
	if s.Leave {
		g.Go(func() error { return left(ctx, h) })
	}
	return ignoreLeft(g.Wait())
}

// admin opens the listener for those who run this process.
func (p *parts) admin(ctx context.Context, s settings, metrics *prometheus.Registry, log *slog.Logger) (*admin.Server, error) {
	own, err := admin.Listen(ctx, admin.Config{Address: s.Admin.Listen, Log: log})
	if err != nil {
		return nil, fmt.Errorf("%w\nChoose another address with --admin-listen; 127.0.0.1:0 is any free port", err)
	}
	p.add(own.Close)
	own.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{EnableOpenMetrics: true, Registry: metrics}))
	own.Handle("GET /profile", admin.Profile())
	return own, nil
}

// adminAt is where others reach it: a wildcard is no address to go to.
func adminAt(s settings, own *admin.Server) string {
	host, port, err := net.SplitHostPort(own.Address())
	if err != nil {
		return own.Address()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if own, err := addr.Extract(host); err == nil {
			host = own
		}
		host = cmp.Or(s.Advertise, host)
	}
	return net.JoinHostPort(host, port)
}
