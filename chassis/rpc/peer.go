package rpc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/registry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"

	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	minEjection = time.Second
	maxEjection = 30 * time.Second
	dialTimeout = time.Second
	idlePeer    = time.Minute
)

// peer is one address and the connection to it.
type peer struct {
	peerID
	conn    *grpc.ClientConn
	lanes   lanes
	running atomic.Int64
	held    atomic.Int64 // by those who have it and may not have begun
	used    atomic.Int64 // UnixNano of the last begin, by the client's clock

	methods sync.Map // of a path to its *record

	mu       sync.Mutex
	failed   atomic.Bool // since the last answer
	until    time.Time   // ejected until then
	ejection time.Duration
}

func (p *peer) begin(now time.Time) {
	p.running.Add(1)
	p.used.Store(now.UnixNano())
}

func (p *peer) end() { p.running.Add(-1) }

func (p *peer) release() { p.held.Add(-1) }

// eject takes the peer out of the choice for a while, for twice as long as the last time when it did not recover in between. It says
// whether it was in the choice until now.
func (p *peer) eject(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		return false
	}
	p.failed.Store(true)
	p.ejection = min(max(2*p.ejection, minEjection), maxEjection)
	p.until = now.Add(p.ejection)
	return true
}

// restore forgets past failures: the peer has answered.
func (p *peer) restore() {
	if !p.failed.Load() {
		return
	}
	p.mu.Lock()
	p.failed.Store(false)
	p.until, p.ejection = time.Time{}, 0
	p.mu.Unlock()
}

func (p *peer) ejectedAt(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.until)
}

// peer returns an instance of a service; the connection is made by the first call. let go of it with release.
func (c *Client) peer(service string, node *registry.Node) (*peer, error) {
	id := c.peerID(service, node)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, problem.Unavailable("CLIENT_CLOSED", "the client is closed")
	}
	if p, ok := c.peers[id]; ok {
		p.held.Add(1)
		return p, nil
	}
	if id.tls && (c.c.TLS == nil || len(node.Metadata) > 0 && node.Metadata[tlsKey] != tlsOn) {
		return nil, &brokenError{err: fmt.Errorf("rpc: of the client and the instance of %s at %s only one has TLS", service, id.address)}
	}
	creds := insecure.NewCredentials()
	if id.tls {
		creds = credentials.NewTLS(c.clientTLS(id))
	}
	conn, err := grpc.NewClient("passthrough:///"+id.address,
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(c.c.MaxMessage), grpc.MaxCallSendMsgSize(c.c.MaxMessage)),
		grpc.WithMaxHeaderListSize(maxHeaderList),
		grpc.WithStatsHandler(attempts{}),
		grpc.WithDisableServiceConfig(), grpc.WithIdleTimeout(0),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: connectTimeout(id),
		}),
	)
	if err != nil {
		return nil, problem.Internal(fmt.Errorf("rpc: connect to %s: %w", id.address, err))
	}
	p := &peer{peerID: id, conn: conn}
	p.used.Store(c.clock.now().UnixNano())
	p.held.Add(1)
	c.peers[id] = p
	return p, nil
}

func connectTimeout(id peerID) time.Duration {
	if id.tls {
		return dialTimeout + handshakeTimeout
	}
	return dialTimeout
}

// sweep closes the connections that no call has used for a minute: their instances are gone, or nobody needs them.
func (c *Client) sweep() {
	tick := time.NewTicker(idlePeer / 2)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
			now := c.clock.now()
			c.mu.Lock()
			var idle []*peer
			for id, p := range c.peers {
				if p.unused() && now.UnixNano()-p.used.Load() > int64(idlePeer) {
					delete(c.peers, id)
					idle = append(idle, p)
				}
			}
			c.mu.Unlock()
			for _, p := range idle {
				p.lanes.close()
				_ = p.conn.Close()
			}
		}
	}
}

// attempt is what grpc-go tells us of one attempt of a call.
type attempt struct {
	sent     atomic.Bool // its headers were handed to the connection
	answered atomic.Bool // the server sent something
}

type attemptKey struct{}

// attempts is a stats.Handler that notes into the attempt of the call's context.
type attempts struct{}

// TagRPC implements stats.Handler.
func (attempts) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (attempts) HandleRPC(ctx context.Context, s stats.RPCStats) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return
	}
	switch s.(type) {
	case *stats.Begin: // grpc-go begins again when the server surely hasn't seen it
		a.sent.Store(false)
	case *stats.OutHeader:
		a.sent.Store(true)
	case *stats.InHeader, *stats.InTrailer:
		a.answered.Store(true)
	}
}

// TagConn implements stats.Handler.
func (attempts) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (attempts) HandleConn(context.Context, stats.ConnStats) {}
