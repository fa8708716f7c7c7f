package rpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/codec"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/proto"
)

const (
	defaultTimeout = 5 * time.Second
	maxAttempts    = 3
	contentType    = "application/grpc+proto"
)

// ClientConfig is what a Client needs. Registry and Log must be given.
type ClientConfig struct {
	Registry registry.Registry
	// Broker is for Publish; may be nil.
	Broker broker.Broker
	Log    *slog.Logger
	// MaxMessage is the largest message in bytes, either way; default 4 MiB.
	MaxMessage int
	// Metrics receives rpc_client_*; may be nil.
	Metrics prometheus.Registerer
	// NoLane keeps to gRPC, also with instances that know the fast lane (docs/lane.md).
	NoLane bool
	// TLS is for instances that want it, as their registry metadata say (tls=1); nil when none is called. ServerName is the host of the
	// address when it is empty, MinVersion 1.3 when it is 0, and NextProtos is not used. It is read at every connection.
	TLS *tls.Config
	// TLSOnly refuses instances that have no TLS, and calls an address (client.WithAddress) over TLS; else those are called without.
	TLSOnly bool
	// VerifyPeer checks at each handshake, when crypto/tls has verified what TLS tells it to, that the peer is an instance of the service that
	// is called; nil for no such check. An error closes the connection.
	VerifyPeer func(service string, state tls.ConnectionState) error
	// Careless leaves out the retry budget and the ejection of outliers: for tests that show what they are for.
	Careless bool
	// Local holds the servers of this process that are called directly; nil when all calls go over a wire.
	Local *Local
	// Router splits the calls of a service between parts of its instances; nil when all instances are alike.
	Router Router
}

// Client is a go-micro client.Client. It is safe for concurrent use. Errors are *problem.Error.
type Client struct {
	c        ClientConfig
	metrics  *metrics
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	loops    sync.WaitGroup
	methods  atomic.Pointer[map[methodID]*methodInfo]
	recent   [recentMethods]atomic.Pointer[recentMethod]
	defaults atomic.Pointer[client.CallOptions]
	clock    clock
	waiters  sync.Pool // of *waiter
	alarm    alarm

	mu      sync.Mutex
	opts    client.Options
	targets map[string]*target
	peers   map[peerID]*peer
	closed  bool
}

var _ client.Client = (*Client)(nil)

// NewClient makes a client. Close it.
func NewClient(c ClientConfig) (*Client, error) {
	if c.Registry == nil || c.Log == nil {
		return nil, errors.New("rpc: ClientConfig needs a Registry and a Log")
	}
	if c.TLS == nil && (c.TLSOnly || c.VerifyPeer != nil) {
		return nil, errors.New("rpc: ClientConfig says TLSOnly or VerifyPeer, and has no TLS")
	}
	c.MaxMessage = cmp.Or(c.MaxMessage, defaultMaxMessage)
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("rpc: register metrics: %w", err)
	}
	cl := &Client{
		c: c, metrics: m, targets: map[string]*target{}, peers: map[peerID]*peer{},
		opts: client.Options{
			Registry: c.Registry, Broker: c.Broker, ContentType: contentType, Context: context.Background(),
			CallOptions: client.CallOptions{RequestTimeout: defaultTimeout, Retries: maxAttempts - 1},
		},
	}
	cl.methods.Store(&map[methodID]*methodInfo{})
	defaults := cl.opts.CallOptions
	cl.defaults.Store(&defaults)
	cl.ctx, cl.cancel = context.WithCancel(context.Background())
	cl.loops.Go(cl.sweep)
	return cl, nil
}

// Close ends running calls and closes every connection.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	peers := c.peers
	c.peers, c.targets = map[peerID]*peer{}, map[string]*target{}
	c.mu.Unlock()
	c.cancel()
	var errs []error
	for _, p := range peers {
		p.lanes.close()
		errs = append(errs, p.conn.Close())
	}
	c.loops.Wait()
	return errors.Join(errs...)
}

// Init takes go-micro's options: the default call options are honoured, call wrappers among them.
func (c *Client) Init(opts ...client.Option) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range opts {
		o(&c.opts)
	}
	defaults := c.opts.CallOptions
	c.defaults.Store(&defaults)
	return nil
}

// Options implements client.Client.
func (c *Client) Options() client.Options {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opts
}

// String implements client.Client.
func (c *Client) String() string { return "grpc" }

// NewRequest implements client.Client. body is a proto.Message, generated or dynamic.
func (c *Client) NewRequest(service, endpoint string, body any, opts ...client.RequestOption) client.Request {
	if len(opts) == 0 {
		if r := c.roomy(service, endpoint, body); r != nil {
			return r
		}
		return &clientRequest{service: service, endpoint: endpoint, body: body}
	}
	var o client.RequestOptions
	for _, opt := range opts {
		opt(&o)
	}
	return &clientRequest{service: service, endpoint: endpoint, body: body, stream: o.Stream}
}

// NewMessage implements client.Client.
func (c *Client) NewMessage(topic string, payload any, _ ...client.MessageOption) client.Message {
	return message{topic, payload}
}

// Publish sends a proto message to the broker, with the context's metadata as headers. Package events has a typed one.
func (c *Client) Publish(ctx context.Context, m client.Message, _ ...client.PublishOption) error {
	body, ok := m.Payload().(proto.Message)
	if !ok {
		return fmt.Errorf("rpc: publish %s: %T is not a proto message", m.Topic(), m.Payload())
	}
	if c.c.Broker == nil {
		return fmt.Errorf("rpc: publish %s: the client has no broker", m.Topic())
	}
	b, err := proto.Marshal(body)
	if err != nil {
		return fmt.Errorf("rpc: publish %s: %w", m.Topic(), err)
	}
	header, _ := metadata.FromContext(ctx)
	header = metadata.Copy(header)
	header["Content-Type"], header["Micro-Topic"] = m.ContentType(), m.Topic()
	if err := c.c.Broker.Publish(m.Topic(), &broker.Message{Header: header, Body: b}); err != nil {
		return fmt.Errorf("rpc: publish %s: %w", m.Topic(), err)
	}
	return nil
}

type message struct {
	topic   string
	payload any
}

func (m message) Topic() string       { return m.topic }
func (m message) Payload() any        { return m.payload }
func (m message) ContentType() string { return "application/protobuf" }

type clientRequest struct {
	service, endpoint string
	body              any
	stream            bool
}

func (r *clientRequest) Service() string     { return r.service }
func (r *clientRequest) Method() string      { return r.endpoint }
func (r *clientRequest) Endpoint() string    { return r.endpoint }
func (r *clientRequest) ContentType() string { return contentType }
func (r *clientRequest) Body() any           { return r.body }
func (r *clientRequest) Codec() codec.Writer { return nil }
func (r *clientRequest) Stream() bool        { return r.stream }
