package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleavehq/cleave/api/internal/cache"
)

// traffic is what keeps services from being asked too much: docs/traffic.md.
type traffic struct {
	kept    *cache.Cache
	mirrors *mirrors
}

func newTraffic(c Config, m *metrics) (t traffic, err error) {
	t.kept, err = cache.New(cache.Config{MaxBytes: c.MaxCache, Now: c.Now, Refreshed: func(err error) {
		m.refreshed.WithLabelValues(map[bool]string{true: "ok", false: "failed"}[err == nil]).Inc()
	}})
	if err != nil {
		return t, err
	}
	if err := c.Metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_cache_bytes", Help: "Bytes of the answers that are kept, twice their own.",
	}, func() float64 { return float64(t.kept.Bytes()) })); err != nil {
		return t, err
	}
	if c.Mirrors == nil {
		c.Mirrors = c.Client
	}
	t.mirrors = newMirrors(c.Mirrors, c.Log, m.mirrored)
	return t, nil
}

// endTraffic waits for what goes on by itself.
func (g *Gateway) endTraffic() {
	g.kept.Close()
	g.mirrors.close()
}
