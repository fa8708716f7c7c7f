package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"buf.build/go/protovalidate"
	"go-micro.dev/v4/codec"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
	"github.com/cleavehq/cleave/chassis/rpc/internal/work"
)

// Server is a go-micro server.Server. Make it with NewServer, give it handlers, Start it. It can't be started again after it stopped.
type Server struct {
	c         ServerConfig
	validator protovalidate.Validator
	micro     server.Server // makes handlers and subscribers; serves nothing itself

	mu          sync.Mutex
	opts        server.Options
	handlers    []server.Handler
	subscribers []server.Subscriber
	state       state

	keys     *callctx.Keys
	methods  map[string]*method // by "/package.Service/Method" and "Service/Method"; complete before Start returns
	live     *live
	workers  work.Pool
	draining atomic.Bool
	tally    tally
	clock    clock
	red      *red // nil when nobody reads it

	health   *health.Server
	grpc     *grpc.Server
	wire     *microWire
	tls      *tls.Config // nil for none
	lane     *laneWire   // nil when it isn't spoken
	listener net.Listener
	service  *registry.Service
	conns    *connections  // nil when they can't be cut
	stopping chan struct{} // closed when Shutdown begins
	stopped  chan struct{} // closed when it is done
	loops    sync.WaitGroup
}

type state int

const (
	fresh state = iota
	running
	ended
)

var _ server.Server = (*Server)(nil)

// NewServer makes a server that doesn't listen yet.
func NewServer(c ServerConfig) (*Server, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	v, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("rpc: make a validator: %w", err)
	}
	keys, err := callctx.NewKeys()
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	keys.Tracer = c.Tracer
	s := &Server{
		c: c, validator: v, keys: keys, methods: map[string]*method{}, live: newLive(), health: health.NewServer(), stopping: make(chan struct{}), stopped: make(chan struct{}),
		opts: server.Options{
			Name: c.Name, Id: c.ID, Version: c.Version, Address: c.Address, Advertise: c.Advertise, Registry: c.Registry, Broker: c.Broker,
			Metadata: c.Metadata, RegisterInterval: c.RegisterInterval, Context: context.Background(), Codecs: map[string]codec.NewCodec{},
		},
	}
	if c.TLS != nil {
		s.tls = serverTLS(c.TLS, !c.NoLane)
	}
	if c.Abortable {
		s.conns = &connections{open: map[string]net.Conn{}}
	}
	s.micro = newMicroServer(c)
	if s.red, err = newRED(c.Metrics); err != nil {
		return nil, fmt.Errorf("rpc: register metrics: %w", err)
	}
	return s, nil
}

// Init takes go-micro's options before Start: handler and subscriber wrappers and codecs are honoured. What ServerConfig gives, such as
// the name and the registry, stays as it is.
func (s *Server) Init(opts ...server.Option) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != fresh {
		return errors.New("rpc: Init after Start")
	}
	for _, o := range opts {
		o(&s.opts)
	}
	return nil
}

// Options implements server.Server.
func (s *Server) Options() server.Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opts
}

// NewHandler implements server.Server: h is what the generated Register function passes.
func (s *Server) NewHandler(h any, opts ...server.HandlerOption) server.Handler {
	return s.micro.NewHandler(h, opts...)
}

// Handle adds a handler. It fails after Start, when the name is taken, and when h lacks a method of its contract.
func (s *Server) Handle(h server.Handler) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != fresh {
		return errors.New("rpc: Handle after Start")
	}
	for _, have := range s.handlers {
		if have.Name() == h.Name() {
			return fmt.Errorf("rpc: two handlers are called %s", h.Name())
		}
	}
	if sd := s.c.Contract.Services().ByName(nameOf(h)); sd != nil {
		if _, err := methodsOf(sd, h); err != nil {
			return err
		}
	}
	s.handlers = append(s.handlers, h)
	return nil
}

// NewSubscriber implements server.Server.
func (s *Server) NewSubscriber(topic string, sub any, opts ...server.SubscriberOption) server.Subscriber {
	return s.micro.NewSubscriber(topic, sub, opts...)
}

// Subscribe adds a subscriber, in force from Start. New code subscribes with package events, whose handlers are typed.
func (s *Server) Subscribe(sub server.Subscriber) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != fresh {
		return errors.New("rpc: Subscribe after Start")
	}
	s.subscribers = append(s.subscribers, sub)
	return nil
}

// String implements server.Server.
func (s *Server) String() string { return "grpc" }

// Stopping returns a channel that is closed when Shutdown begins: a stream that never ends by itself has to end then.
func (s *Server) Stopping() <-chan struct{} { return s.stopping }

// Address returns where the server listens, host:port, and "" before Start.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}
