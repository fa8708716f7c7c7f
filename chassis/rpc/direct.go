package rpc

import (
	"context"
	"reflect"
	"slices"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// directCall is one call of a handler in this process.
type directCall struct {
	liveCall
	request
	s       *Server
	m       *method
	in, out any
	err     error
	done    chan struct{}
}

// waiter is what a caller waits with. One that was not waited to its end is thrown away.
type waiter struct {
	done  chan struct{}
	timer *time.Timer
}

// direct calls m, a unary method of s. gone says that s has just stopped: the call was not made.
func (c *Client) direct(ctx context.Context, s *Server, m *method, body, rsp proto.Message, until time.Time) (gone bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, problem.From(err)
	}
	if err := c.fits(body); err != nil {
		return false, err
	}
	d := &directCall{s: s, m: m}
	d.ctx.Init(ctx, s.keys, until, telemetry.Span(ctx), s.incoming(ctx))
	if !s.live.begin(&d.liveCall) {
		return true, nil
	}
	d.request = request{service: s.c.Name, endpoint: m.name, call: &d.ctx}
	proto.Reset(rsp)
	if s.c.SharesMemory && reflect.TypeOf(body) == m.inPtr && reflect.TypeOf(rsp) == m.outPtr {
		if w := c.c.Local.Watch; w != nil {
			return false, w.call(ctx, d, body, rsp)
		}
		d.in, d.out = body, rsp
		d.Run()
		if err = d.outcome(ctx); err == nil {
			err = c.fits(rsp)
		}
		if err != nil {
			proto.Reset(rsp) // what the handler had begun
		}
		return false, err
	}
	in, out := newMessage(m.in), newMessage(m.out)
	if err := copied(in, body); err != nil {
		s.live.end(&d.liveCall)
		return false, badRequest(m, err)
	}
	d.in, d.out = in, out
	if err := c.await(ctx, d); err != nil {
		return false, err
	}
	if err := c.fits(out); err != nil {
		return false, err
	}
	if err := copied(rsp, out); err != nil {
		return false, problem.Internal(err)
	}
	return false, nil
}

// await runs d on another goroutine, so that the caller can go when its time is up, whatever the handler does.
func (c *Client) await(ctx context.Context, d *directCall) error {
	left := time.Hour
	if until, ok := d.ctx.Deadline(); ok {
		left = time.Until(until)
	}
	w, ok := c.waiters.Get().(*waiter)
	if ok {
		w.timer.Reset(left)
	} else {
		w = &waiter{done: make(chan struct{}, 1), timer: time.NewTimer(left)}
	}
	d.done = w.done
	d.s.workers.Run(d)
	for {
		select {
		case <-w.done:
			w.timer.Stop()
			c.waiters.Put(w)
			return d.outcome(ctx)
		case <-ctx.Done():
			w.timer.Stop()
			return problem.From(ctx.Err())
		case <-w.timer.C:
			if _, ok := d.ctx.Deadline(); ok {
				return problem.From(context.DeadlineExceeded)
			}
			w.timer.Reset(time.Hour)
		}
	}
}

// Run runs the handler behind its chain.
func (d *directCall) Run() {
	d.body = d.in
	d.err = d.m.run(&d.ctx, &d.request, d.out)
	if d.err == nil {
		d.err = d.ctx.Err() // the answer is late
	}
	done := d.done
	d.s.live.end(&d.liveCall)
	if done != nil {
		done <- struct{}{}
	}
}

// outcome is what the caller is told when the handler has returned.
func (d *directCall) outcome(ctx context.Context) error {
	if d.err == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return problem.From(err)
	}
	if until, ok := d.ctx.Deadline(); ok && !time.Now().Before(until) {
		return problem.From(context.DeadlineExceeded)
	}
	return told(d.err)
}

// told is an error as it is after it has crossed a wire: with no cause, and with memory of its own.
func told(err error) error {
	p := problem.From(err)
	if p.Reason == "" || p.Code == codes.OK {
		return problem.FromStatus(p.GRPCStatus())
	}
	p = p.Because(nil)
	p.Fields = slices.Clone(p.Fields)
	return p
}

func badRequest(m *method, err error) error {
	return problem.InvalidArgument("BAD_MESSAGE", "the request is not a %s", m.desc.Input().FullName()).Because(err)
}

// fits holds a message to the limit that it has on a wire: a module that moves out must not meet it then only.
func (c *Client) fits(m proto.Message) error {
	if n := proto.Size(m); n > c.c.MaxMessage {
		return problem.ResourceExhausted("MESSAGE_TOO_LARGE", "a message of %d bytes is larger than the %d that are allowed", n, c.c.MaxMessage)
	}
	return nil
}

// incoming is the metadata that a handler of s gets from a caller with ctx: what is about one connection or one call stays behind.
func (s *Server) incoming(ctx context.Context) metadata.Metadata {
	return onward(ctx, s.keys.Metadata(ctx))
}

// earlier is what came of attempts before.
type earlier struct {
	share share // the part of the instances that the call is meant for
	tried []string
	last  error
}

// tryDirect makes the call directly if that is possible, and says whether that settled it; if not, the call goes on remotely.
func (c *Client) tryDirect(
	ctx context.Context, req client.Request, rsp any, info *methodInfo, o *client.CallOptions, until time.Time,
) (settled bool, before earlier, err error) {
	before.share = c.share(ctx, req.Service())
	s, m := c.local(req, info, o, before.share)
	if s == nil || m.streamed {
		return false, before, nil
	}
	gone := false
	if len(o.CallWrappers) == 0 {
		gone, err = c.directAny(ctx, s, m, req, rsp, until)
	} else {
		err = wrapped(*o, func(ctx context.Context, _ *registry.Node, req client.Request, rsp any, _ client.CallOptions) (err error) {
			gone, err = c.directAny(ctx, s, m, req, rsp, until)
			return err
		})(ctx, s.service.Nodes[0], req, rsp, *o)
	}
	if gone {
		return false, before, nil
	}
	if err == nil || !info.idempotent || o.Retries <= 0 || ctx.Err() != nil || problem.From(err).Code != codes.Unavailable {
		return true, before, err
	}
	before.tried, before.last = []string{s.service.Nodes[0].Address}, problem.From(err)
	return false, before, nil
}

func (c *Client) directAny(ctx context.Context, s *Server, m *method, req client.Request, rsp any, until time.Time) (gone bool, err error) {
	in, ok := req.Body().(proto.Message)
	if !ok {
		return false, problem.InvalidArgument("BAD_MESSAGE", "the request is a %T, not a proto message", req.Body())
	}
	out, ok := rsp.(proto.Message)
	if !ok {
		return false, problem.InvalidArgument("BAD_MESSAGE", "the response is a %T, not a proto message", rsp)
	}
	return c.direct(ctx, s, m, in, out, until)
}
