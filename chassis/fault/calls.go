package fault

import (
	"context"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Server is a wrapper for the handlers of a module: it injects latency, errors and aborts into unary calls and into the opening of streams. The
// one of a nil Injector returns its argument.
func (i *Injector) Server(module string) server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		if i == nil {
			return next
		}
		return func(ctx context.Context, req server.Request, rsp any) error {
			if i.rules.Load() == nil {
				return next(ctx, req, rsp)
			}
			if err := i.serve(ctx, module, req.Endpoint()); err != nil {
				return err
			}
			return next(ctx, req, rsp)
		}
	}
}

// serve does what rules say of a call that came, and returns nil when it is to go on.
func (i *Injector) serve(ctx context.Context, module, method string) error {
	if r, ok := i.hit(module, method, "", Latency); ok {
		timer := time.NewTimer(time.Duration(r.Delay))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r, ok := i.hit(module, method, "", Fail, Abort)
	if !ok {
		return nil
	}
	if r.Kind == Abort && i.c.Abort != nil {
		i.c.Abort(ctx) // if there was nothing to cut, the error arrives
	}
	return problem.New(r.code(), Reason, "the fault %s is injected here", r.ID)
}

// Client keeps calls of caller, a module or "gateway", from being sent where a partition says so. The one of a nil Injector returns its argument.
func (i *Injector) Client(caller string, c client.Client) client.Client {
	if i == nil {
		return c
	}
	return &parted{Client: c, i: i, caller: caller}
}

type parted struct {
	client.Client
	i      *Injector
	caller string
}

// Call implements client.Client.
func (p *parted) Call(ctx context.Context, req client.Request, rsp any, opts ...client.CallOption) error {
	if err := p.cut(req); err != nil {
		return err
	}
	return p.Client.Call(ctx, req, rsp, opts...)
}

// Stream implements client.Client.
func (p *parted) Stream(ctx context.Context, req client.Request, opts ...client.CallOption) (client.Stream, error) {
	if err := p.cut(req); err != nil {
		return nil, err
	}
	return p.Client.Stream(ctx, req, opts...)
}

func (p *parted) cut(req client.Request) error {
	r, ok := p.i.hit(req.Service(), req.Endpoint(), p.caller, Partition)
	if !ok {
		return nil
	}
	return problem.Unavailable(Reason, "the fault %s parts %s from %s", r.ID, p.caller, req.Service())
}
