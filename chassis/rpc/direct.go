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
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
)

// directCall is one call of a handler in this process.
type directCall struct {
	ctx *callctx.Context
	request
	start time.Time
	m     *method
	out   any
	err   error
	done  chan bool // see waiter
}

// direct calls m, a unary method of s. gone says that s has just stopped: the call was not made. end is when it ended, as far as that is known.
func (c *Client) direct(
	ctx context.Context, s *Server, m *method, req client.Request, body, rsp proto.Message, start, until time.Time,
) (gone bool, end time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return false, end, problem.From(err)
	}
	var known *bounds
	own := reflect.TypeOf(body) == m.inPtr
	if own {
		known = m.inBounds
	}
	if err := c.fits(body, known); err != nil {
		return false, end, err
	}
	if s.c.SharesMemory && own && reflect.TypeOf(rsp) == m.outPtr {
		if c.c.Local.Watch == nil {
			return c.shared(ctx, s, m, req, body, rsp, start, until)
		}
		d := s.directCall(ctx, m, req, start, until)
		if !s.live.begin() {
			return true, end, nil
		}
		proto.Reset(rsp)
		return false, end, c.c.Local.Watch.call(ctx, d, body, rsp)
	}
	gone, err = c.withCopies(ctx, s, m, req, body, rsp, start, until)
	return gone, end, err
}

// directCall is one that hasn't begun.
func (s *Server) directCall(ctx context.Context, m *method, req client.Request, start, until time.Time) *directCall {
	d := &directCall{ctx: contextFor(req), start: start, m: m}
	d.ctx.Init(ctx, s.keys, until, s.keys.Span(ctx), s.incoming(ctx))
	d.ctx.Join()
	d.request = request{service: s.c.Name, endpoint: m.name, call: d.ctx}
	return d
}

// withCopies calls m with a copy of the request, and copies its response, on another goroutine.
func (c *Client) withCopies(
	ctx context.Context, s *Server, m *method, req client.Request, body, rsp proto.Message, start, until time.Time,
) (gone bool, err error) {
	d := s.directCall(ctx, m, req, start, until)
	if !s.live.begin() {
		return true, nil
	}
	proto.Reset(rsp)
	in, out := newMessage(m.in), newMessage(m.out)
	if err := copied(in, body); err != nil {
		s.live.end(d.ctx)
		return false, badRequest(m, err)
	}
	d.body, d.out = in, out
	if err := c.await(ctx, d); err != nil {
		return false, err
	}
	if err := c.fits(out, m.outBounds); err != nil {
		return false, err
	}
	if err := copied(rsp, out); err != nil {
		return false, problem.Internal(err)
	}
	return false, nil
}

// shared calls m on the caller's own messages, and on its goroutine.
func (c *Client) shared(
	ctx context.Context, s *Server, m *method, req client.Request, body, rsp proto.Message, start, until time.Time,
) (gone bool, end time.Time, err error) {
	call, md := contextFor(req), s.incoming(ctx)
	call.Init(ctx, s.keys, until, s.keys.Span(ctx), md)
	call.Join()
	if !s.live.begin() { // from here on nothing of the caller's is run
		return true, end, nil
	}
	if !blank(word(rsp), m.out.Size()) {
		proto.Reset(rsp)
	}
	if m.plain {
		err = m.plainly(call, md, body, rsp)
	} else {
		err = m.direct(call, &request{service: s.c.Name, endpoint: m.name, call: call, body: body}, rsp)
	}
	end = c.clock.now()
	s.tally.add(err, end.Sub(start))
	if err == nil {
		err = call.EndedAt(end) // the answer is late
	}
	s.observed(call, m.name, inProcess, start, end, err)
	s.live.end(call)
	if err == nil {
		if err = c.fits(rsp, m.outBounds); err == nil {
			return false, end, nil
		}
	} else {
		err = finished(ctx, call, err)
	}
	proto.Reset(rsp) // what the handler had begun
	return false, end, err
}

// plainly is m.direct for a method that nothing is wrapped around: the same steps, without a request to show to wrappers.
func (m *method) plainly(call *callctx.Context, md metadata.Metadata, in, out proto.Message) (err error) {
	var ctx context.Context = call
	if md != nil { // there is seldom any
		if key := md[keyHeader]; key != "" {
			ctx = context.WithValue(ctx, receivedKey{}, key)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			err = m.s.panicked(ctx, m.name, p)
		} else if err != nil {
			err = m.s.coded(ctx, m.name, err)
		}
	}()
	if m.ruled {
		if err := m.s.validate(in); err != nil {
			return err
		}
	}
	return m.unary(m.receiver, ctx, word(in), word(out))
}

// await runs d on another goroutine, so that the caller can go when its time is up, whatever the handler does.
func (c *Client) await(ctx context.Context, d *directCall) error {
	w, ok := c.waiters.Get().(*waiter)
	if !ok {
		w = &waiter{done: make(chan bool, 2)}
	}
	if until, ok := d.ctx.Deadline(); ok {
		c.alarm.add(w, until)
	}
	d.done = w.done
	d.m.s.workers.Run(d)
	returned := false
	select {
	case returned = <-w.done:
	case <-ctx.Done():
	}
	again := c.alarm.remove(w)
	switch {
	case returned && again:
		c.waiters.Put(w)
		return d.outcome(ctx)
	case returned:
		return d.outcome(ctx)
	case ctx.Err() != nil:
		return problem.From(ctx.Err())
	default:
		return problem.From(context.DeadlineExceeded)
	}
}

// Run runs the handler behind its chain.
func (d *directCall) Run() {
	d.err = d.m.direct(d.ctx, &d.request, d.out)
	end := time.Now()
	d.m.s.tally.add(d.err, end.Sub(d.start))
	if d.err == nil {
		d.err = d.ctx.EndedAt(end) // the answer is late
	}
	d.m.s.observed(d.ctx, d.m.name, inProcess, d.start, end, d.err)
	done := d.done
	d.m.s.live.end(d.ctx)
	if done != nil {
		done <- true
	}
}

// outcome is what the caller is told when the handler has returned.
func (d *directCall) outcome(ctx context.Context) error {
	if d.err == nil {
		return nil
	}
	return finished(ctx, d.ctx, d.err)
}

// finished is a handler's error as its caller is told it: that its time was up, when it was.
func finished(ctx context.Context, call *callctx.Context, err error) error {
	if err := ctx.Err(); err != nil {
		return problem.From(err)
	}
	if until, ok := call.Deadline(); ok && !time.Now().Before(until) {
		return problem.From(context.DeadlineExceeded)
	}
	return told(err)
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
// b may know how large it is at most.
func (c *Client) fits(m proto.Message, b *bounds) error {
	if b.atMost(word(m)) <= int64(c.c.MaxMessage) {
		return nil
	}
	if n := proto.Size(m); n > c.c.MaxMessage {
		return problem.ResourceExhausted("MESSAGE_TOO_LARGE", "a message of %d bytes is larger than the %d that are allowed", n, c.c.MaxMessage)
	}
	return nil
}

// incoming is the metadata that a handler of s gets from a caller with ctx: what is about one connection or one call stays behind.
func (s *Server) incoming(ctx context.Context) metadata.Metadata {
	if c, ok := ctx.(*callctx.Context); ok { // a handler's own
		return c.Came(func(md metadata.Metadata) metadata.Metadata { return onward(ctx, md) })
	}
	return onward(ctx, s.keys.Metadata(ctx))
}

// earlier is what came of attempts before.
type earlier struct {
	share share // the part of the instances that the call is meant for
	tried []string
	last  error
}

// tryDirect makes the call directly, within the options' call wrappers.
func (c *Client) tryDirect(
	ctx context.Context, s *Server, m *method, req client.Request, rsp any, o *client.CallOptions, start, until time.Time,
) (gone bool, end time.Time, err error) {
	if len(o.CallWrappers) > 0 {
		gone, err = c.wrappedDirect(ctx, s, m, req, rsp, o, start, until)
		return gone, end, err
	}
	return c.directAny(ctx, s, m, req, rsp, start, until)
}

func (c *Client) wrappedDirect(
	ctx context.Context, s *Server, m *method, req client.Request, rsp any, o *client.CallOptions, start, until time.Time,
) (gone bool, err error) {
	err = wrapped(o, func(ctx context.Context, _ *registry.Node, req client.Request, rsp any, _ client.CallOptions) (err error) {
		gone, _, err = c.directAny(ctx, s, m, req, rsp, start, until)
		return err
	})(ctx, s.service.Nodes[0], req, rsp, *o)
	return gone, err
}

func (c *Client) directAny(
	ctx context.Context, s *Server, m *method, req client.Request, rsp any, start, until time.Time,
) (gone bool, end time.Time, err error) {
	in, ok := req.Body().(proto.Message)
	if !ok {
		return false, end, problem.InvalidArgument("BAD_MESSAGE", "the request is a %T, not a proto message", req.Body())
	}
	out, ok := rsp.(proto.Message)
	if !ok || word(out) == nil {
		return false, end, problem.InvalidArgument("BAD_MESSAGE", "the response is a %T, not a proto message to write to", rsp)
	}
	return c.direct(ctx, s, m, req, in, out, start, until)
}
