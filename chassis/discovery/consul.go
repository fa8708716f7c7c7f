package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
)

var _ registry.Registry = (*Consul)(nil)

// ConsulConfig says where Consul is and how it checks what is registered through it.
type ConsulConfig struct {
	// Address is the agent's HTTP address, host:port or a URL. Empty: CONSUL_HTTP_ADDR, then 127.0.0.1:8500.
	Address string
	// Token is the ACL token. Empty: CONSUL_HTTP_TOKEN.
	Token string
	// API is how Consul is reached otherwise, such as by TLS; nil: api.DefaultConfig. Address and Token go above it. It is copied.
	API *api.Config
	// Log gets outages and returns; nil discards.
	Log *slog.Logger
	// CheckInterval is how often Consul checks an instance; 0 is 1 s, the least Consul takes. Two failures in a row make
	// it critical, so that one slow answer under load costs nothing.
	CheckInterval time.Duration
	// CheckTimeout bounds one check; 0 is 1 s.
	CheckTimeout time.Duration
	// Reap is how long an instance stays critical before Consul removes it; 0 is 1 min, the least Consul takes.
	Reap time.Duration
	// Grace is how long after an outage instances that Consul no longer names are kept; 0 is 15 s. It has to be longer
	// than servers take to register again (10 s in go-micro).
	Grace time.Duration
	// Timeout bounds a first read and each write; 0 is 2 s.
	Timeout time.Duration
	// Tags are added to every service registered.
	Tags []string
}

// Consul is a registry on a Consul agent. It is safe for concurrent use. What it writes reads well in Consul's UI: tags
// (go-micro, module, the protocol, the version), metadata as it is, endpoint names as a list, one named health check.
//
// What Consul cannot hold is left out: the request and response values of endpoints (services serve their descriptors
// by reflection) and metadata of a Service as against its nodes. A node read back has one pair more than was written
// when the writer had none: "version".
//
// It holds one blocking query open for the list of services, and one for each name that somebody asked for. A Consul agent
// takes 200 connections from one address unless limits.http_max_conns_per_client says otherwise.
//
// Node metadata "check" chooses the check: "grpc" (the default; the standard gRPC health service, overall),
// "grpc:NAME" (of one gRPC service), "http:/path", "tcp" or "none".
type Consul struct {
	conf  ConsulConfig
	board *board
	log   *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	client  *api.Client
	hangUp  func() // closes the client's idle connections
	options registry.Options
	listing *feed[map[string]bool]
	known   map[string]bool // every service Consul names; true when it is go-micro's
	feeds   map[string]*feed[[]instance]
	own     map[string]*registration
	all     bool
	closed  bool
}

// NewConsul returns a registry that has not spoken to Consul yet: it begins at the first use, and an agent that is down
// is no error here. Close ends it.
func NewConsul(conf ConsulConfig) (*Consul, error) {
	if conf.CheckInterval < 0 || conf.CheckTimeout < 0 || conf.Reap < 0 || conf.Grace < 0 || conf.Timeout < 0 {
		return nil, errors.New("new consul registry: a duration is negative")
	}
	defaults := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	defaults(&conf.CheckInterval, time.Second)
	defaults(&conf.CheckTimeout, time.Second)
	defaults(&conf.Reap, time.Minute)
	defaults(&conf.Grace, 15*time.Second)
	defaults(&conf.Timeout, 2*time.Second)
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	client, hangUp, err := dial(conf)
	if err != nil {
		return nil, fmt.Errorf("new consul registry: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Consul{
		conf: conf, board: newBoard(), log: conf.Log.With("registry", "consul"),
		ctx: ctx, cancel: cancel, client: client, hangUp: hangUp, own: make(map[string]*registration),
		known: make(map[string]bool), feeds: make(map[string]*feed[[]instance]),
		options: registry.Options{Context: ctx, Timeout: conf.Timeout, Addrs: []string{conf.Address}},
	}, nil
}

// dial makes a client, which connects when it is used, and the function that lets go of its connections.
func dial(conf ConsulConfig) (*api.Client, func(), error) {
	c := api.DefaultConfig()
	if conf.API != nil {
		own := *conf.API
		c = &own
	}
	if conf.Address != "" {
		c.Address = conf.Address
	}
	if conf.Token != "" {
		c.Token = conf.Token
	}
	client, err := api.NewClient(c)
	if err != nil {
		return nil, nil, err
	}
	return client, c.HttpClient.CloseIdleConnections, nil
}

// Init applies go-micro options. registry.Addrs changes the agent's address, and is an error once the registry is in use.
func (c *Consul) Init(opts ...registry.Option) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.options
	for _, opt := range opts {
		opt(&o)
	}
	if len(o.Addrs) > 0 && o.Addrs[0] != c.conf.Address {
		if c.listing != nil {
			return fmt.Errorf("init consul registry: the address cannot change to %s while in use", o.Addrs[0])
		}
		conf := c.conf
		conf.Address = o.Addrs[0]
		client, hangUp, err := dial(conf)
		if err != nil {
			return fmt.Errorf("init consul registry: %w", err)
		}
		c.conf, c.client, c.hangUp = conf, client, hangUp
	}
	c.options = o
	return nil
}

// Options returns what Init was given.
func (c *Consul) Options() registry.Options {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.options
}

// String is "consul".
func (c *Consul) String() string { return "consul" }

// Close ends every query and watcher and waits for them. It deregisters nothing: a server does that itself, and one that
// could not is removed by its check. A second call does nothing.
func (c *Consul) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.board.close()
	c.wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUp()
	return nil
}
