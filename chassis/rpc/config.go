package rpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

const (
	defaultMaxMessage = 4 << 20
	defaultMaxConns   = 10_000
	maxStreams        = 1_000
	maxHeaderList     = 64 << 10
	sniffTimeout      = 5 * time.Second
	stopTimeout       = 30 * time.Second
)

// ServerConfig is what a Server needs. Name, Contract, Registry and Log must be given.
type ServerConfig struct {
	// Name in the registry.
	Name string
	// ID tells this instance from others of that name; the node's id is NAME-ID.
	ID string
	// Version of the service; default "dev".
	Version string
	// Address to listen on; default 127.0.0.1:0, a free port on loopback.
	Address string
	// Advertise is the host that others reach this server at, without a port; default the one of Address, or this machine's first
	// private address when Address is a wildcard.
	Advertise string
	// Contract holds the services that handlers are registered for. A handler that it doesn't know is served over go-micro's RPC only.
	Contract protoreflect.FileDescriptor
	// Comments of the contract by full name, "shop.order.v1.Order.GetOrder", that reflection shows; nil for none: generated Go has none.
	Comments map[string]string
	Registry registry.Registry
	// Broker serves go-micro subscribers; connected and disconnected by its owner. Default go-micro's in-memory broker.
	Broker broker.Broker
	// Metadata goes into the registry, besides version, module, host, schema, protocol, transport and started.
	Metadata map[string]string
	Log      *slog.Logger
	// DrainWait is how long callers have to notice that the server left the registry; default 1 s.
	DrainWait time.Duration
	// RegisterInterval is how often the registration is repeated, so that a registry that lost it has it back; default 10 s.
	RegisterInterval time.Duration
	// MaxMessage is the largest message in bytes, either way; default 4 MiB.
	MaxMessage int
	// NoLane keeps the server from speaking the fast lane (docs/lane.md), and from saying in the registry that it does.
	NoLane bool
	// TLS makes every connection to the port a TLS one; nil for none. ALPN chooses the wire, so that NextProtos is not used. Client
	// certificates (ClientAuth, ClientCAs) and rotation (GetCertificate, GetConfigForClient) work as they do in crypto/tls; PeerChain tells a
	// handler who calls. MinVersion is 1.3 when it is 0. The registry is told that the instance wants TLS (metadata tls=1).
	TLS *tls.Config
	// Authorize is asked for each call before a byte of its request is decoded; what it returns is the answer then. method is
	// "/package.Service/Method", and "" over go-micro's own RPC; peer is the connection's TLS, nil for none. It must not wait. Direct calls are
	// not asked for: their caller is this process. nil allows everyone.
	Authorize func(method string, peer *tls.ConnectionState) error
	// NoHandshake is told of connections whose TLS handshake failed; may be nil.
	NoHandshake func(from net.Addr, err error)
	// Local is the table from which clients in this process call this server directly; nil when they don't.
	Local *Local
	// Admit lets a unary call in that came over a wire, and then leave is called with its error; or it says why not, Unavailable when there is
	// too much to do. It may wait until ctx ends. A gRPC call isn't decoded then, nor is a large one on the fast lane. priority is what the
	// caller's metadata say (Cleave-Priority), and may be anything. Direct calls are not asked about: they are part of one that was let in,
	// or the process's own. Nor are streams, health and reflection. Nil lets all in. *resilience.Gate has what it takes.
	Admit func(ctx context.Context, md protoreflect.MethodDescriptor, priority string) (leave func(error), err error)
	// SharesMemory says that the handlers may be given the caller's own messages by a direct call, on the caller's goroutine: they neither
	// change a request nor keep a message or a part of one after they return, and they return soon after their context ends. Else they
	// get copies, and a goroutine. Watch finds those that are not fit for it.
	SharesMemory bool
	// MaxConns is how many connections are served at once; default 10,000.
	MaxConns int
	// Abortable lets handlers cut the connection that a call came by, with Abort; for those who inject faults.
	Abortable bool
	// Tracer records the calls, and through their contexts what is done in them; nil for none.
	Tracer *telemetry.Tracer
	// Metrics receives rpc_server_call_seconds; may be nil. Servers may share it.
	Metrics prometheus.Registerer
}

func (c *ServerConfig) fill() error {
	switch {
	case c.Name == "":
		return errors.New("rpc: ServerConfig.Name is empty")
	case c.Contract == nil:
		return errors.New("rpc: ServerConfig.Contract is nil")
	case c.Registry == nil:
		return errors.New("rpc: ServerConfig.Registry is nil")
	case c.Log == nil:
		return errors.New("rpc: ServerConfig.Log is nil")
	}
	c.ID = cmp.Or(c.ID, "1")
	c.Version = cmp.Or(c.Version, "dev")
	c.Address = cmp.Or(c.Address, "127.0.0.1:0")
	c.DrainWait = cmp.Or(c.DrainWait, time.Second)
	c.RegisterInterval = cmp.Or(c.RegisterInterval, 10*time.Second)
	c.MaxMessage = cmp.Or(c.MaxMessage, defaultMaxMessage)
	c.MaxConns = cmp.Or(c.MaxConns, defaultMaxConns)
	if c.Broker == nil {
		c.Broker = broker.NewMemoryBroker()
	}
	return nil
}
