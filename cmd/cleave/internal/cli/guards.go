package cli

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"

	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/resilience"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// The choices of --resilience.
const (
	resilienceOn  = "on"
	resilienceOff = "off"
)

// patience is how long calls take at most when nothing guards them.
const patience = 10 * time.Minute

// guards keep this process and those that it calls from harm. With --resilience off there is no client and no gate.
type guards struct {
	rules     *resilience.Rules
	client    *resilience.Client
	gate      *resilience.Gate
	overrides kv.Watcher
	instances atomic.Pointer[instances]
}

// instances are those that the process calls.
type instances struct{ list func() []rpc.Instance }

func newGuards(ctx context.Context, p *parts, s settings, metrics *prometheus.Registry, log *slog.Logger) (*guards, error) {
	g := &guards{}
	var err error
	if g.rules, err = resilience.NewRules(log, metrics); err != nil {
		return nil, err
	}
	if g.overrides, err = resilienceStore(s); err != nil {
		return nil, err
	}
	if s.Resilience == resilienceOff {
		log.WarnContext(ctx, "resilience is off: this process is here to show what becomes of it")
		return g, nil
	}
	if g.client, err = resilience.NewClient(resilience.ClientConfig{Log: log, Metrics: metrics, Rules: g.rules}); err != nil {
		return nil, err
	}
	measuring, stop := context.WithCancel(context.WithoutCancel(ctx)) // calls are let in while the process drains, too
	p.add(func() error { stop(); return nil })
	g.gate, err = resilience.NewGate(measuring, resilience.GateConfig{Rules: g.rules, Server: resilience.ServerConfig{Metrics: metrics}})
	return g, err
}

// resilienceStore is where operators write overrides: in Consul under cleave/resilience/, else in a file beside the data.
func resilienceStore(s settings) (kv.Store, error) {
	return documentStore(s, "cleave/resilience", "resilience.json")
}

func (g *guards) off() bool { return g.client == nil }

// reset forgets what circuits have seen of methods: it was made on purpose, and is over.
func (g *guards) reset(of func(service, endpoint string) bool) {
	if !g.off() {
		g.client.Reset(of)
	}
}

// follow takes what operators write, until ctx ends.
func (g *guards) follow(ctx context.Context) error {
	_ = g.rules.Follow(ctx, g.overrides) // ctx's error
	return nil
}

// open opens a client.
func (g *guards) open(p *parts, c rpc.ClientConfig, as *mesh.Identity) (*rpc.Client, error) {
	c.Careless = g.off()
	return p.client(c, as)
}

// wrap puts the guard around a client.
func (g *guards) wrap(c client.Client) client.Client {
	if g.off() {
		return g.careless(c)
	}
	return g.client.Wrap(c)
}

// careless takes the default deadline from a client, when nothing is to be guarded.
func (g *guards) careless(c client.Client) client.Client {
	if g.off() {
		_ = c.Init(client.RequestTimeout(patience)) // rpc's has no error
	}
	return c
}

// patience is the gateway's timeout; 0 for its default.
func (g *guards) patience() time.Duration {
	if g.off() {
		return patience
	}
	return 0
}

// ServeHTTP is the page GET /resilience.
func (g *guards) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	page := struct {
		Enforced bool `json:"enforced"`
		resilience.State
		Instances []rpc.Instance `json:"instances"`
	}{!g.off(), resilience.StateOf(g.client, g.gate, g.rules), []rpc.Instance{}}
	if i := g.instances.Load(); i != nil {
		page.Instances = append(page.Instances, i.list()...)
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(page) //nolint:errchkjson // whoever asked has gone
}
