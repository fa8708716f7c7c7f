package cli

import (
	"context"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/admin"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/health"
)

// healthPages shows the process's health to those who run it.
func healthPages(own *admin.Server) *health.Process {
	p := &health.Process{}
	own.Handle("GET /healthz/live", p.Live())
	own.Handle("GET /healthz/ready", p.Readiness())
	own.Handle("GET /healthz/startup", p.Startup())
	return p
}

// watchBroker looks at a broker that can be asked, until the parts are closed. Without it reads and orders go on, and events wait.
func (p *parts) watchBroker(h *health.Process, b broker.Broker) {
	asked, ok := b.(interface {
		Holdings(ctx context.Context) (events.Holdings, error)
	})
	if !ok {
		return
	}
	stop := h.Watch(health.Dependency{Name: "broker", Criticality: health.Degrades, Check: func(ctx context.Context) error {
		_, err := asked.Holdings(ctx)
		return err
	}})
	p.add(func() error {
		stop()
		return nil
	})
}
