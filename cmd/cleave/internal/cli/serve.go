package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go-micro.dev/v4/client"
	"golang.org/x/sync/errgroup"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/admin"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/resilience"
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

	own, err := p.admin(ctx, s, metrics, log)
	if err != nil {
		return err
	}
	live, err := a.live(ctx, &p, s, log, metrics, own)
	if err != nil {
		return err
	}
	well := healthPages(own)
	inject, err := p.injector(ctx, s, log, metrics, own)
	if err != nil {
		return err
	}
	guard, err := resilience.NewClient(resilience.ClientConfig{Log: log, Metrics: metrics})
	if err != nil {
		return err
	}
	var ln net.Listener
	if what.gateway { // before anything is started: a port that is taken is the most common mistake
		if ln, err = listen(ctx, s.Listen); err != nil {
			return err
		}
		p.add(func() error { return ignoreClosed(ln.Close()) })
	}
	var calls client.Client
	var h *host.Host
	brokerIs := "none"
	if len(what.modules) > 0 {
		b, at, is, err := p.broker(s, log)
		if err != nil {
			return err
		}
		brokerIs = is
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
			Version: cmp.Or(s.Module.Version, version().Version), HostName: name, Log: log, Metrics: metrics, Fault: points, Inject: inject, Health: well, LeaveUnready: s.Health.Leave,
			Remote: !s.Direct, Topology: table, Now: a.env.Now, Guard: guard, Admin: adminAt(s, own),
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
		calls = h.ClientOf(api.Name)
		p.watchBroker(well, b)
	} else {
		raw, err := p.client(reg, table, log)
		if err != nil {
			return err
		}
		calls = guard.Wrap(inject.Client(api.Name, raw))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return own.Serve(ctx) })
	if what.gateway {
		conf, err := edge(s, calls, api.Config{
			Registry: reg, Client: calls, Log: log, Metrics: metrics, Version: version().Version, Advertise: s.Advertise,
			Admin: adminAt(s, own),
		})
		if err != nil {
			return err
		}
		gw, err := api.New(conf)
		if err != nil {
			return err
		}
		tune(live, gw)
		if len(what.modules) > 0 {
			if err := adminKey(ctx, s, log); err != nil {
				return err
			}
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
	return own, nil
}

// adminAt is where others reach it: a wildcard is no address to go to.
func adminAt(s settings, own *admin.Server) string {
	host, port, err := net.SplitHostPort(own.Address())
	if err != nil {
		return own.Address()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() && s.Advertise != "" {
		host = s.Advertise
	}
	return net.JoinHostPort(host, port)
}
