package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"buf.build/go/protovalidate"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// chain is what every call goes through, whatever wire it came by: recover, trace, validate, the service's wrappers, h. Around it, it is
// counted.
func (s *Server) chain(h server.HandlerFunc) server.HandlerFunc {
	for i := len(s.opts.HdlrWrappers) - 1; i >= 0; i-- {
		h = s.opts.HdlrWrappers[i](h)
	}
	return s.guard(s.validated(h))
}

// guard turns a panic into an Internal error, puts the caller's trace into the context, and gives every error its code.
func (s *Server) guard(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) (err error) {
		if _, ok := ctx.(*callctx.Context); !ok { // that one is in its trace already
			parent, _ := metadata.Get(ctx, telemetry.Header)
			ctx = telemetry.WithTraceparent(ctx, parent)
		}
		ctx = s.abortable(s.received(ctx))
		defer func() {
			if p := recover(); p != nil {
				err = s.panicked(ctx, req.Endpoint(), p)
				return
			}
			err = s.coded(ctx, req.Endpoint(), err)
		}()
		return next(ctx, req, rsp)
	}
}

// panicked is what becomes of a panic.
func (s *Server) panicked(ctx context.Context, endpoint string, p any) error {
	s.c.Log.ErrorContext(ctx, "a handler panicked", "endpoint", endpoint, "panic", p, "stack", string(debug.Stack()))
	return problem.Internal(fmt.Errorf("panic: %v", p))
}

// coded logs what a user won't be told, and hides it.
func (s *Server) coded(ctx context.Context, endpoint string, err error) error {
	if err == nil || isEndOfStream(err) {
		return err
	}
	p := problem.From(err)
	level := slog.LevelDebug
	if p.Code == codes.Internal || p.Code == codes.Unknown || p.Code == codes.DataLoss {
		level = slog.LevelError
	}
	s.c.Log.Log(ctx, level, "call failed", "endpoint", endpoint, "code", p.Code.String(), "reason", p.Reason, "error", err)
	return p
}

// validated checks every message against the rules of its contract before the handler sees it.
func (s *Server) validated(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		if stream, ok := rsp.(server.Stream); ok {
			return next(ctx, req, &validatedStream{Stream: stream, ctx: ctx, s: s})
		}
		if err := s.validate(req.Body()); err != nil {
			return err
		}
		return next(ctx, req, rsp)
	}
}

type validatedStream struct {
	server.Stream
	ctx context.Context // with the trace in it
	s   *Server
}

func (v *validatedStream) Context() context.Context { return v.ctx }

func (v *validatedStream) Recv(m any) error {
	if err := v.Stream.Recv(m); err != nil {
		return err
	}
	return v.s.validate(m)
}

// validate returns a problem that names every wrong field.
func (s *Server) validate(m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return nil
	}
	err := s.validator.Validate(msg)
	if err == nil {
		return nil
	}
	var bad *protovalidate.ValidationError
	if !errors.As(err, &bad) {
		return problem.Internal(err) // the rules themselves don't compile
	}
	fields := make([]problem.Field, 0, len(bad.Violations))
	for _, v := range bad.Violations {
		fields = append(fields, problem.Field{Path: protovalidate.FieldPathString(v.Proto.GetField()), Message: v.Proto.GetMessage()})
	}
	return problem.Invalid(fields...)
}
