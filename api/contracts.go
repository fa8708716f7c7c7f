package api

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go-micro.dev/v4/registry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/cleavehq/cleave/api/internal/transcode"
	"github.com/cleavehq/cleave/chassis/schema"
)

const (
	fetchTimeout = 2 * time.Second
	fetchers     = 8
	firstBackoff = 250 * time.Millisecond // before an instance that didn't tell its contract is asked again
	lastBackoff  = 30 * time.Second
	maxContracts = 256 // are remembered, though nobody has some of them any more
)

// contracts are those that have been fetched, by schema hash. Fetching goes on in the background: one instance that hangs must not keep
// the routes of the others waiting.
type contracts struct {
	metrics *metrics
	log     *slog.Logger
	creds   func(service string) credentials.TransportCredentials // nil for none
	changed func()                                                // is called after every fetch
	slots   chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	byHash map[string]*schema.Contract
	codecs map[string]*transcode.Codec // of the same
	asked  map[string]*asked
	last   map[string][]*offer // by service: what it offered when a contract of it was known
}

// asked is what is known of a contract that is not there yet.
type asked struct {
	running bool
	again   time.Time // not before
	backoff time.Duration
}

func newContracts(m *metrics, log *slog.Logger, creds func(string) credentials.TransportCredentials, changed func()) *contracts {
	return &contracts{
		metrics: m, log: log, creds: creds, changed: changed, slots: make(chan struct{}, fetchers),
		byHash: map[string]*schema.Contract{}, codecs: map[string]*transcode.Codec{}, asked: map[string]*asked{}, last: map[string][]*offer{},
	}
}

// offer is one contract of a service, and the instances that have it.
type offer struct {
	service  string
	hash     string
	newest   string // when the newest instance started
	oldest   string // when the oldest did
	nodes    []*registry.Node
	contract *schema.Contract // nil until it is known
	codec    *transcode.Codec // likewise
}

// offers groups the instances of a service by their contract, the newest first. Instances that don't speak gRPC offer nothing.
func offers(service string, versions []*registry.Service) []*offer {
	byHash := map[string]*offer{}
	var out []*offer
	for _, v := range versions {
		for _, n := range v.Nodes {
			if !strings.Contains(n.Metadata["protocol"], "grpc") {
				continue
			}
			hash := hashOf(n)
			started := n.Metadata["started"]
			o := byHash[hash]
			if o == nil {
				o = &offer{service: service, hash: hash, oldest: started}
				byHash[hash] = o
				out = append(out, o)
			}
			o.nodes = append(o.nodes, n)
			o.newest, o.oldest = max(o.newest, started), min(o.oldest, started)
		}
	}
	slices.SortStableFunc(out, func(a, b *offer) int { return strings.Compare(b.newest, a.newest) })
	return out
}

// hashOf is the schema hash of an instance. One that isn't ours has none, and is asked for itself.
func hashOf(n *registry.Node) string {
	if hash := n.Metadata["schema"]; hash != "" {
		return hash
	}
	return "instance:" + n.Id
}

// fill gives the offers the contracts that are known and begins to ask for the others. A service none of whose contracts is known gets
// those that it had. retry is when to fill again, 0 for when something changes; first says that some were never asked for to an end.
func (c *contracts) fill(ctx context.Context, list []*offer) (out []*offer, retry time.Duration, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	byService := map[string][]*offer{}
	for _, o := range list {
		o.codec = c.codecs[o.hash]
		if o.contract = c.byHash[o.hash]; o.contract == nil {
			a := c.ask(ctx, o)
			first = first || a.backoff == 0
			if left := time.Until(a.again); !a.running && (retry == 0 || left < retry) {
				retry = max(left, settle)
			}
		} else {
			byService[o.service] = append(byService[o.service], o)
		}
		out = append(out, o)
	}
	present := map[string]bool{}
	for _, o := range list {
		if present[o.service] {
			continue
		}
		present[o.service] = true
		if known := byService[o.service]; known != nil {
			c.last[o.service] = known
		} else {
			out = append(out, c.last[o.service]...)
		}
	}
	for service := range c.last {
		if !present[service] {
			delete(c.last, service)
		}
	}
	c.forget(list)
	return out, retry, first
}

// ask begins to fetch the contract of an offer, unless that runs or it is too soon.
func (c *contracts) ask(ctx context.Context, o *offer) *asked {
	a := c.asked[o.hash]
	if a == nil {
		a = &asked{}
		c.asked[o.hash] = a
	}
	if !a.running && !time.Now().Before(a.again) {
		a.running = true
		c.running.Go(func() { c.fetch(ctx, o.hash, o.service, o.nodes) })
	}
	return a
}

// fetch asks one instance after the other.
func (c *contracts) fetch(ctx context.Context, hash, service string, nodes []*registry.Node) {
	defer c.changed()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
	}
	var got *schema.Contract
	for _, n := range nodes {
		one, cancel := context.WithTimeout(ctx, fetchTimeout)
		var err error
		got, err = schema.Fetch(one, n.Address, c.dial(service)...)
		cancel()
		if err == nil {
			c.metrics.fetches.WithLabelValues("ok").Inc()
			break
		}
		if ctx.Err() != nil {
			break
		}
		c.metrics.fetches.WithLabelValues("failed").Inc()
		c.log.WarnContext(ctx, "an instance doesn't tell its contract", "service", service, "instance", n.Id, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if got != nil {
		c.byHash[hash], c.codecs[hash] = got, transcode.NewCodec(got.Types)
		delete(c.asked, hash)
		return
	}
	if a := c.asked[hash]; a != nil {
		a.running, a.backoff = false, min(max(2*a.backoff, firstBackoff), lastBackoff)
		a.again = time.Now().Add(a.backoff)
	}
}

// dial is how an instance of a service is asked.
func (c *contracts) dial(service string) []grpc.DialOption {
	if c.creds == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithTransportCredentials(c.creds(service))}
}

// forget drops what nobody has any more: of contracts only when there are many, since a service that comes back has its old one.
func (c *contracts) forget(list []*offer) {
	used := map[string]bool{}
	for _, o := range list {
		used[o.hash] = true
	}
	for hash, a := range c.asked {
		if !used[hash] && !a.running {
			delete(c.asked, hash)
		}
	}
	if len(c.byHash) <= maxContracts {
		return
	}
	for hash := range c.byHash {
		if !used[hash] {
			delete(c.byHash, hash)
			delete(c.codecs, hash)
		}
	}
}
