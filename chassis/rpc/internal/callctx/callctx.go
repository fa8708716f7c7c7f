// Package callctx is the context of one call on the side that serves it: deadline, cancellation, trace and metadata in one allocation,
// with a timer only when somebody waits for its end.
//
// It hides every value of its parent: what crosses a call is what crosses a wire.
package callctx

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/metadata"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

// Keys are the keys under which others look for what a Context holds, and what all Contexts that have them share: those of one server. The
// packages of the keys keep them to themselves, so they are asked for once.
type Keys struct {
	meta, span, cancel any

	// Tracer records the calls, and what is done in them; nil for none. It is to be set before there is a Context.
	Tracer *telemetry.Tracer

	group group
}

// CancelJoined ends every Context that has joined the others, and those that join them afterwards.
func (k *Keys) CancelJoined() { k.group.cancel() }

// NewKeys finds the keys. It fails when a package looks for its value in another way than it used to.
func NewKeys() (*Keys, error) {
	ask := func(f func(context.Context)) any {
		p := &probe{Context: context.Background(), done: make(chan struct{})}
		f(p)
		return p.key
	}
	k := &Keys{
		meta: ask(func(ctx context.Context) { metadata.FromContext(ctx) }),
		span: ask(func(ctx context.Context) { trace.SpanFromContext(ctx) }),
		cancel: ask(func(ctx context.Context) {
			_, cancel := context.WithCancel(ctx)
			cancel()
		}),
	}
	if k.meta == nil || k.span == nil || k.cancel == nil {
		return nil, fmt.Errorf("callctx: the keys of metadata, span and cancel are %v, %v, %v", k.meta, k.span, k.cancel)
	}
	return k, nil
}

// Metadata is ctx's metadata as it lies there: not a copy, not to be changed.
func (k *Keys) Metadata(ctx context.Context) metadata.Metadata {
	md, _ := ctx.Value(k.meta).(metadata.Metadata)
	return md
}

// Span is ctx's span; nil when it has none.
func (k *Keys) Span(ctx context.Context) trace.Span {
	s, _ := ctx.Value(k.span).(trace.Span)
	return s
}

// probe remembers the key that it was asked for.
type probe struct {
	context.Context
	done chan struct{}
	key  any
}

func (p *probe) Done() <-chan struct{} { return p.done }

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}

// AfterFunc keeps package context from starting a goroutine.
func (p *probe) AfterFunc(func()) func() bool { return func() bool { return true } }

// PeerKey is under what a Context has its Peer.
type PeerKey struct{}

// ConnKey is under what the parent of a Context has the Conn that the call came by.
type ConnKey struct{}

// Conn is a connection to the server that has the Keys. A call that came by none, because it was made in this process by a handler of another
// server, doesn't find that server's.
type Conn struct {
	net.Conn
	Keys *Keys
}

// Context is a context.Context. It is made by Init, and ends by Cancel at the latest; then it may still be asked, but not used again. It is
// small, since there is one for every call, and what few ask for is made when they do.
type Context struct {
	parent   context.Context
	keys     *Keys
	deadline time.Time
	from     trace.Span // the caller's; the root of a new trace, once somebody asked, when the caller has none

	// Peer is the TLS of the connection that the call came by; nil for none. It is to be set after Init, and found under PeerKey.
	Peer *tls.ConnectionState

	inner atomic.Pointer[inner] // made when somebody waits
	over  atomic.Bool           // Cancel was called

	whole  bool // meta has the trace in it
	joined bool // the group of keys
	ending ending
	mu     sync.Mutex
	own    *Span // made when somebody asks
	meta   metadata.Metadata
}

// ending is why a Context has ended, as far as somebody has asked: a byte instead of an error.
type ending uint8

const (
	running ending = iota
	cancelled
	late
	byParent // what ended the parent
	byInner  // what ended inner
)

var _ context.Context = (*Context)(nil)

// inner is what a Context is for those who wait.
type inner struct {
	context.Context
	cancel     context.CancelFunc
	prev, next *inner // of its group
}

// group is of Contexts that may be cancelled together. It holds those that somebody waits for; the others ask it.
type group struct {
	over  atomic.Bool
	mu    sync.Mutex
	first *inner
}

func (g *group) cancel() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over.Store(true)
	for in := g.first; in != nil; in = in.next {
		in.cancel()
	}
}

func (g *group) add(in *inner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if in.next = g.first; in.next != nil {
		in.next.prev = in
	}
	g.first = in
	if g.over.Load() {
		in.cancel()
	}
}

// remove may be called again.
func (g *group) remove(in *inner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case in.prev != nil:
		in.prev.next = in.next
	case g.first == in:
		g.first = in.next
	}
	if in.next != nil {
		in.next.prev = in.prev
	}
	in.prev, in.next = nil, nil
}

// Span carries a span's context, and records nothing.
type Span struct {
	noop.Span
	Is     trace.SpanContext
	tracer *telemetry.Tracer
}

// SpanContext implements trace.Span.
func (s *Span) SpanContext() trace.SpanContext { return s.Is }

// Init readies c for a call that ends with parent, or at the deadline if that is not zero. from is the caller's span, which may be nil; md
// belongs to c from now on.
func (c *Context) Init(parent context.Context, keys *Keys, deadline time.Time, from trace.Span, md metadata.Metadata) {
	c.parent, c.keys, c.deadline, c.from, c.meta = parent, keys, deadline, from, md
	if d, ok := parent.Deadline(); ok && (deadline.IsZero() || d.Before(deadline)) {
		c.deadline = d
	}
}

// Join has c end by Keys.CancelJoined, too. It is to be called after Init, and before anybody else has c.
func (c *Context) Join() { c.joined = true }

// cut says that c was cancelled, by itself or with the others that have joined.
func (c *Context) cut() bool { return c.over.Load() || c.joined && c.keys.group.over.Load() }

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} {
	if in := c.inner.Load(); in != nil {
		return in.Done()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if in := c.inner.Load(); in != nil {
		return in.Done()
	}
	in := &inner{}
	switch {
	case c.ending == cancelled, c.ending == running && c.cut(): // not because of its parent or its deadline
		in.Context, in.cancel = context.WithCancel(context.Background())
	case c.deadline.IsZero():
		in.Context, in.cancel = context.WithCancel(c.parent)
	default:
		in.Context, in.cancel = context.WithDeadline(c.parent, c.deadline)
	}
	if c.joined {
		c.keys.group.add(in)
	}
	c.inner.Store(in)
	if c.ending != running || c.over.Load() { // Cancel says that it is over before it looks for inner
		c.end(in)
	}
	return in.Done()
}

// Err implements context.Context.
func (c *Context) Err() error { return c.EndedAt(time.Time{}) }

// EndedAt is Err at a time that is now. It takes the time itself when now is zero.
func (c *Context) EndedAt(now time.Time) error {
	if now.IsZero() && !c.deadline.IsZero() {
		now = time.Now()
	}
	if c.inner.Load() == nil && !c.cut() && c.parent.Err() == nil && (c.deadline.IsZero() || now.Before(c.deadline)) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == running {
		c.ending = c.endingAt(now)
	}
	switch c.ending {
	case cancelled:
		return context.Canceled
	case late:
		return context.DeadlineExceeded
	case byParent:
		return c.parent.Err()
	case byInner:
		return c.inner.Load().Err()
	case running:
	}
	return nil
}

// endingAt finds out. c.mu is held.
func (c *Context) endingAt(now time.Time) ending {
	switch in := c.inner.Load(); {
	case in != nil && in.Err() != nil:
		return byInner
	case in != nil:
		return running
	case c.cut():
		return cancelled
	case c.parent.Err() != nil:
		return byParent
	case !c.deadline.IsZero() && !now.Before(c.deadline):
		return late
	default:
		return running
	}
}

// Cancel ends it.
func (c *Context) Cancel() {
	c.over.Store(true)
	if in := c.inner.Load(); in != nil {
		c.end(in)
	}
}

func (c *Context) end(in *inner) {
	in.cancel()
	if c.joined {
		c.keys.group.remove(in)
	}
}

// Value implements context.Context: it knows the trace, go-micro's metadata, and how package context ties a child to it.
func (c *Context) Value(key any) any {
	switch key {
	case PeerKey{}:
		return c.Peer
	case ConnKey{}:
		if at, ok := c.parent.Value(key).(*Conn); ok && at.Keys == c.keys {
			return at
		}
		return nil
	case c.keys.span:
		return c.ownSpan()
	case c.keys.meta:
		return c.Metadata()
	case c.keys.cancel:
		if in := c.inner.Load(); in != nil {
			return in.Value(key)
		}
	}
	return nil
}

// ownSpan is the call's own span, which is a child of the caller's. It is made when it is first asked for.
func (c *Context) ownSpan() *Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		c.own = &Span{Is: telemetry.Child(c.caller()), tracer: c.keys.Tracer}
	}
	return c.own
}

// caller is the caller's span, of a new trace when it has none. c.mu is held.
func (c *Context) caller() trace.SpanContext {
	if c.from == nil || !c.from.SpanContext().IsValid() {
		c.from = &Span{Is: telemetry.Child(trace.SpanContext{})}
	}
	return c.from.SpanContext()
}

// Metadata is what came with the call, the trace included. It belongs to the call.
func (c *Context) Metadata() metadata.Metadata {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.whole {
		c.whole = true
		if c.meta == nil {
			c.meta = make(metadata.Metadata, 1)
		}
		c.meta[textproto.CanonicalMIMEHeaderKey(telemetry.Header)] = traceparent(c.caller())
	}
	return c.meta
}

// Came is what copied makes of the metadata that came with the call; the trace needn't be among them. copied must not keep them.
func (c *Context) Came(copied func(metadata.Metadata) metadata.Metadata) metadata.Metadata {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.meta) == 0 {
		return nil
	}
	return copied(c.meta)
}

// Get is what came with the call under a canonical key, other than the trace.
func (c *Context) Get(key string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.meta[key]
}

func traceparent(sc trace.SpanContext) string {
	m := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), m)
	return m[telemetry.Header]
}
