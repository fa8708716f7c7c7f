package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// Reasons of an Unavailable error that the client makes itself.
const (
	// ReasonNotInRegistry says that no instance of the service is known.
	ReasonNotInRegistry = "SERVICE_NOT_IN_REGISTRY"
	// ReasonUnreachable says that no instance could be reached: the call was not sent, or may be sent again.
	ReasonUnreachable = "UNREACHABLE"
	// ReasonOutcomeUnknown says that the connection was lost after a call was sent that may not be sent twice: it was done, or it wasn't.
	ReasonOutcomeUnknown = "OUTCOME_UNKNOWN"
)

// Call calls a unary method and decodes its answer into rsp. The deadline is ctx's, or 5 s, or client.WithRequestTimeout's if that is
// sooner. When ctx ends it returns at once. Honoured options: WithAddress, WithRequestTimeout, WithRetries (as an upper bound),
// WithSelectOption (filters), WithCallWrapper and WithMethod.
func (c *Client) Call(ctx context.Context, req client.Request, rsp any, opts ...client.CallOption) error {
	start := c.clock.now()
	o := c.callOptions(opts)
	info, err := c.method(req, o)
	var end time.Time
	if err == nil {
		end, err = c.callAll(ctx, req, rsp, info, o, start)
	}
	if c.metrics.on {
		if end.IsZero() {
			end = c.clock.now()
		}
		c.metrics.called(info, req, err, end.Sub(start))
	}
	return err
}

// callOptions are those of a call; nobody changes them.
func (c *Client) callOptions(opts []client.CallOption) *client.CallOptions {
	if len(opts) == 0 {
		return c.defaults.Load()
	}
	o := *c.defaults.Load()
	o.CallWrappers = o.CallWrappers[:len(o.CallWrappers):len(o.CallWrappers)]
	for _, opt := range opts {
		opt(&o)
	}
	return &o
}

// callAll makes the call, and says when it ended if somebody has looked at the clock.
func (c *Client) callAll(
	ctx context.Context, req client.Request, rsp any, info *methodInfo, o *client.CallOptions, start time.Time,
) (end time.Time, err error) {
	until := deadline(ctx, o.RequestTimeout, start)
	before := earlier{share: c.share(ctx, req.Service())}
	if s, m := c.local(req, info, o, before.share); s != nil && !m.streamed {
		var gone bool
		gone, end, err = c.tryDirect(ctx, s, m, req, rsp, o, start, until)
		switch {
		case gone:
		case err == nil || !info.idempotent || o.Retries <= 0 || ctx.Err() != nil || problem.From(err).Code != codes.Unavailable:
			return end, err
		default:
			before.tried, before.last = []string{s.service.Nodes[0].Address}, problem.From(err)
		}
	}
	return c.overWire(ctx, req, rsp, info, o, start, until, before)
}

func (c *Client) overWire(
	ctx context.Context, req client.Request, rsp any, info *methodInfo, o *client.CallOptions, start, until time.Time, before earlier,
) (end time.Time, err error) {
	if before.last != nil { // a direct call came first
		start = c.clock.now()
	}
	ctx, span := telemetry.StartCall(ctx, start, req.Service(), req.Endpoint()) // a direct call has the server's span alone
	err = c.remote(ctx, req, rsp, info, o, until, before)
	if span != nil {
		end = c.clock.now()
		span.DoneAt(end, err)
	}
	return end, err
}

// remote makes the call over a wire.
func (c *Client) remote(
	ctx context.Context, req client.Request, rsp any, info *methodInfo, o *client.CallOptions, until time.Time, before earlier,
) error {
	t, err := c.targetOf(info, req.Service())
	if err != nil {
		return err
	}
	if !until.IsZero() {
		p := withDeadline(ctx, until)
		defer p.end()
		ctx = p
	}
	t.budget.deposit()
	return c.retried(ctx, t, info, o, before, func(node *registry.Node, began time.Time) error {
		if len(o.CallWrappers) == 0 {
			return c.once(ctx, t, node, began, info, req, rsp)
		}
		return wrapped(o, func(ctx context.Context, node *registry.Node, req client.Request, rsp any, _ client.CallOptions) error {
			return c.once(ctx, t, node, c.clock.now(), info, req, rsp)
		})(ctx, node, req, rsp, *o)
	})
}

// once makes one attempt, which begins now.
func (c *Client) once(
	ctx context.Context, t *target, node *registry.Node, now time.Time, info *methodInfo, req client.Request, rsp any,
) error {
	p, err := c.peer(t.name, node)
	if err != nil {
		return err
	}
	defer p.release()
	if c.speaksLane(node, info) {
		if err := c.overLane(ctx, t, p, now, info, req, rsp); !errors.Is(err, errNoLane) {
			return err
		}
	}
	return c.attempt(outgoing(ctx), t, p, func(ctx context.Context, p *peer) error {
		return p.conn.Invoke(ctx, info.path, req.Body(), rsp)
	})
}

// wrapped puts the options' call wrappers around a call.
func wrapped(o *client.CallOptions, call client.CallFunc) client.CallFunc {
	for i := len(o.CallWrappers) - 1; i >= 0; i-- {
		call = o.CallWrappers[i](call)
	}
	return call
}

// deadline is when a call ends at the latest: zero when only ctx says.
func deadline(ctx context.Context, timeout time.Duration, start time.Time) time.Time {
	if timeout <= 0 {
		if _, ok := ctx.Deadline(); ok {
			return time.Time{}
		}
		timeout = defaultTimeout
	}
	return start.Add(timeout)
}

// retried runs one call on one instance after the other until it is answered or no further attempt is allowed.
func (c *Client) retried(
	ctx context.Context, t *target, info *methodInfo, o *client.CallOptions, before earlier, call func(*registry.Node, time.Time) error,
) error {
	attempts := min(max(o.Retries, 0)+1, maxAttempts)
	tried, last := before.tried, before.last
	if last != nil {
		if _, err := t.known(ctx, o); err != nil || !t.others(o, tried) || !t.budget.withdraw() {
			return last
		}
		c.metrics.retried(t.name)
	}
	for n := len(tried) + 1; ; n++ {
		node, err := t.pick(ctx, o, info, before.share, tried)
		if err != nil {
			if last != nil {
				return last
			}
			return err
		}
		began := c.clock.now()
		last = call(node, began)
		t.judged(ctx, o, info, node, last, began)
		if last == nil {
			return nil
		}
		var broken *brokenError
		if !errors.As(last, &broken) {
			p := problem.From(last)
			if p.Code != codes.Unavailable || !info.idempotent {
				return p
			}
			broken = &brokenError{sent: true, err: p}
			last = p
		} else {
			last = broken.problem(t.name, info.idempotent)
		}
		if ctx.Err() != nil || n >= attempts || broken.sent && !info.idempotent || !t.budget.withdraw() {
			return last
		}
		again := len(tried) > 0 && tried[len(tried)-1] == node.Address
		tried = append(tried, node.Address)
		c.metrics.retried(t.name)
		if again || t.alone(o) {
			wait(ctx, time.Duration(n)*(10*time.Millisecond+rand.N(20*time.Millisecond))) //nolint:gosec // jitter
		}
	}
}

// brokenError says that the connection failed before an answer came.
type brokenError struct {
	sent bool // the request may have been processed
	err  error
}

func (b *brokenError) Error() string { return b.err.Error() }
func (b *brokenError) Unwrap() error { return b.err }

func (b *brokenError) problem(service string, idempotent bool) error {
	if b.sent && !idempotent {
		return problem.Unavailable(ReasonOutcomeUnknown, "the connection to %s was lost; whether it did what it was asked is not known", service).
			Because(b.err)
	}
	return problem.Unavailable(ReasonUnreachable, "no instance of %s can be reached", service).Because(b.err)
}

// attempt runs fn on one instance, and ejects it when its connection fails.
func (c *Client) attempt(ctx context.Context, t *target, p *peer, fn func(context.Context, *peer) error) error {
	p.begin(c.clock.now())
	defer p.end()
	a := &attempt{}
	err := fn(context.WithValue(ctx, attemptKey{}, a), p)
	return c.outcome(ctx, t, p, a, err)
}

// outcome tells a broken connection from an answer.
func (c *Client) outcome(ctx context.Context, t *target, p *peer, a *attempt, err error) error {
	if err == nil {
		p.restore()
		return nil
	}
	s, ok := status.FromError(err)
	if ctx.Err() != nil {
		return problem.From(ctx.Err())
	}
	if ok && s.Code() == codes.Unavailable && !a.answered.Load() {
		c.eject(ctx, t, p, err)
		return &brokenError{sent: a.sent.Load(), err: err}
	}
	if a.answered.Load() {
		p.restore()
	}
	return problem.From(err)
}

func (c *Client) eject(ctx context.Context, t *target, p *peer, err error) {
	if p.eject(time.Now()) {
		c.metrics.ejected(t.name)
		c.c.Log.WarnContext(ctx, "instance ejected", "service", t.name, "address", p.address, "error", err)
	}
}

// Stream opens a stream. Its context is ctx: it has no deadline unless ctx or client.WithStreamTimeout sets one. Opening is tried again on
// another instance as a call is; what happens after that is the caller's.
func (c *Client) Stream(ctx context.Context, req client.Request, opts ...client.CallOption) (client.Stream, error) {
	o := c.callOptions(opts)
	info, err := c.method(req, o)
	if err != nil {
		return nil, err
	}
	meant := c.share(ctx, req.Service())
	if s, ok := c.directStream(ctx, req, info, o, meant); ok {
		return s, nil
	}
	t, err := c.targetOf(info, req.Service())
	if err != nil {
		return nil, err
	}
	t.budget.deposit()
	var cancel context.CancelFunc
	if o.StreamTimeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, o.StreamTimeout)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	var out client.Stream
	err = c.retried(ctx, t, info, o, earlier{share: meant}, func(node *registry.Node, _ time.Time) (err error) {
		p, err := c.peer(t.name, node)
		if err != nil {
			return err
		}
		defer p.release()
		if c.speaksLane(node, info) {
			if out, err = c.openLane(ctx, t, p, info, req, cancel); !errors.Is(err, errNoLane) {
				return err
			}
		}
		out, err = c.openGRPC(ctx, t, p, info, req, cancel)
		return err
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return out, nil
}

func (c *Client) openGRPC(
	ctx context.Context, t *target, p *peer, info *methodInfo, req client.Request, cancel context.CancelFunc,
) (out client.Stream, err error) {
	err = c.attempt(outgoing(ctx), t, p, func(inner context.Context, p *peer) error {
		gs, err := p.conn.NewStream(inner, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, info.path)
		if err != nil {
			return err
		}
		a, _ := inner.Value(attemptKey{}).(*attempt)
		p.begin(c.clock.now()) // until the stream ends
		context.AfterFunc(gs.Context(), p.end)
		out = &clientStream{ctx: ctx, c: c, t: t, p: p, a: a, grpc: gs, req: req, info: info, cancel: cancel}
		return nil
	})
	return out, err
}
