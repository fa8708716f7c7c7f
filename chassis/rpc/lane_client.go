package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/lane"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

const (
	laneAgain  = time.Minute           // before a peer that said that it knows the lane, and didn't, is believed again
	hangUp     = time.Second           // before one that hung up, as a server that stops does
	dialAgain  = 50 * time.Millisecond // before a peer that couldn't be reached is dialled again
	helloWaits = time.Second
)

// errNoLane says that the peer is to be called over gRPC.
var errNoLane = errors.New("the peer doesn't know the lane")

// lanes is the lane to one peer: at most one connection that takes calls.
type lanes struct {
	client atomic.Pointer[lane.Client]

	mu      sync.Mutex
	old     []*lane.Client // drain
	dialing chan struct{}  // closed when the dial is over; nil when nobody dials
	err     error          // of the last dial
	until   time.Time      // err holds until then
	closed  bool
}

// speaksLane says whether a call may go over the lane: health and reflection are gRPC's own.
func (c *Client) speaksLane(node *registry.Node, info *methodInfo) bool {
	return !c.c.NoLane && node.Metadata[laneKey] == laneVersion && !strings.HasPrefix(info.path, "/grpc.")
}

// lane returns the connection to p, and makes it when there is none.
func (c *Client) lane(ctx context.Context, p *peer) (*lane.Client, error) {
	l := &p.lanes
	if cl := l.client.Load(); cl != nil && cl.Usable() {
		return cl, nil
	}
	for {
		l.mu.Lock()
		cl := l.client.Load()
		switch {
		case l.closed:
			l.mu.Unlock()
			return nil, net.ErrClosed
		case cl != nil && cl.Usable():
			l.mu.Unlock()
			return cl, nil
		case l.err != nil && time.Now().Before(l.until):
			err := l.err
			l.mu.Unlock()
			return nil, err
		case l.dialing == nil:
			l.dialing = make(chan struct{})
			c.loops.Go(func() { c.dial(p) })
		}
		dialing := l.dialing
		l.mu.Unlock()
		select {
		case <-dialing:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// dial connects, for everyone who waits.
func (c *Client) dial(p *peer) {
	cl, err := c.connect(p)
	l := &p.lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.dialing)
	l.dialing = nil
	if err != nil {
		wait := dialAgain
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
			wait = hangUp
		case errors.Is(err, errNoLane):
			wait = laneAgain
			c.c.Log.Warn("an instance says that it knows the fast lane, and doesn't", "address", p.address, "error", err)
		}
		l.err, l.until = err, time.Now().Add(wait)
		return
	}
	l.err = nil
	if l.closed {
		_ = cl.Close()
		return
	}
	var old []*lane.Client
	for _, o := range append(l.old, l.client.Load()) {
		if o != nil && !o.Ended() {
			old = append(old, o)
		}
	}
	l.old = old
	l.client.Store(cl)
}

func (c *Client) connect(p *peer) (*lane.Client, error) {
	ctx, cancel := context.WithTimeout(c.ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	if p.tls {
		if nc, err = c.secured(nc, p.peerID); err != nil {
			return nil, err
		}
	}
	hello, cancelHello := context.WithTimeout(c.ctx, helloWaits)
	defer cancelHello()
	cl, err := lane.Dial(hello, nc, lane.Config{MaxMessage: c.c.MaxMessage, MaxCalls: maxStreams, Window: streamWindow})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoLane, err)
	}
	return cl, nil
}

func (l *lanes) close() {
	l.mu.Lock()
	l.closed = true
	all := append(slices.Clone(l.old), l.client.Load())
	l.old = nil
	l.mu.Unlock()
	for _, cl := range all {
		if cl != nil {
			_ = cl.Close()
		}
	}
}

func (c *Client) head(ctx context.Context, info *methodInfo, now time.Time) lane.Head {
	md, _ := metadata.FromContext(ctx)
	h := lane.Head{Path: info.path, Span: telemetry.Span(ctx), Meta: onward(ctx, md)}
	if at, ok := ctx.Deadline(); ok {
		h.Timeout = max(at.Sub(now), 1)
	}
	return h
}

// overLane makes one attempt over the lane, which begins now. errNoLane says that it has to be made over gRPC.
func (c *Client) overLane(ctx context.Context, t *target, p *peer, now time.Time, info *methodInfo, req client.Request, rsp any) error {
	in, ok := req.Body().(proto.Message)
	out, okToo := rsp.(proto.Message)
	if !ok || !okToo {
		return errNoLane // gRPC says what is wrong
	}
	cl, err := p.lanes.client.Load(), error(nil)
	if cl == nil || !cl.Usable() {
		cl, err = c.lane(ctx, p)
		now = c.clock.now() // it may have waited
	}
	if err == nil {
		h := c.head(ctx, info, now)
		p.begin(now)
		err = cl.Call(ctx, &h, in, out)
		p.end()
	} else if !errors.Is(err, errNoLane) {
		err = &lane.Broken{Err: err}
	}
	return c.laneOutcome(ctx, t, p, err)
}

// laneOutcome tells a broken connection from an answer, as outcome does for gRPC.
func (c *Client) laneOutcome(ctx context.Context, t *target, p *peer, err error) error {
	if err == nil {
		p.restore()
		return nil
	}
	if errors.Is(err, errNoLane) {
		return errNoLane
	}
	if ctx.Err() != nil {
		return problem.From(ctx.Err())
	}
	var broken *lane.Broken
	if errors.As(err, &broken) {
		c.eject(ctx, t, p, err)
		return &brokenError{sent: broken.Sent, err: err}
	}
	p.restore()
	return told(err)
}
