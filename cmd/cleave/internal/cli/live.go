package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/admin"
	"github.com/cleavehq/cleave/chassis/config"
)

// The bounds of the gateway's own limits. A body that a service is sent is one message, which has 4 MiB at most.
const (
	leastTimeout, mostTimeout = 10 * time.Millisecond, 10 * time.Minute
	leastBody, mostBody       = 1 << 10, 4 << 20
)

func (s settings) gatewayErrors() (errs []error) {
	if t := s.Gateway.Timeout; t < leastTimeout || t > mostTimeout {
		errs = append(errs, config.Invalid("gateway.timeout", "%v is not between %v and %v", t, leastTimeout, mostTimeout))
	}
	if n := s.Gateway.MaxBody; n < leastBody || n > mostBody {
		errs = append(errs, config.Invalid("gateway.max_body", "%d is not between %d and %d bytes", n, leastBody, mostBody))
	}
	return errs
}

// live follows the settings until the parts are closed, and shows them to those who run this process.
func (a *app) live(
	ctx context.Context, p *parts, s settings, log *slog.Logger, metrics *prometheus.Registry, own *admin.Server,
) (*config.Live[settings], error) {
	store, err := configStore(s)
	if err != nil {
		return nil, err
	}
	v, err := config.NewLive(a.loaded, config.LiveConfig{Log: log, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	v.OnChange(a.logs.follow)
	own.Handle("GET /config", v)
	p.follow(ctx, func(ctx context.Context) { v.Follow(ctx, store) })
	return v, nil
}

// tune gives a gateway the settings that change while it serves.
func tune(v *config.Live[settings], gw *api.Gateway) {
	v.OnChange(func(s settings) { gw.Tune(tuning(s)) })
}

func tuning(s settings) api.Tuning {
	return api.Tuning{Origins: s.CORS.Origins, Timeout: s.Gateway.Timeout, MaxBody: s.Gateway.MaxBody}
}
