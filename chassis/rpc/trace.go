package rpc

import (
	"context"
	"time"

	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// arrival is how a call came.
type arrival int

const (
	overWire arrival = iota
	inProcess
	streaming
)

func arrivalOf(req server.Request) arrival {
	if req.Stream() {
		return streaming
	}
	return overWire
}

// observed tells the tracer and the metrics of a call that came directly or over the lane, and is over.
func (s *Server) observed(ctx *callctx.Context, endpoint string, by arrival, start, end time.Time, err error) {
	if s.c.Tracer == nil && s.red == nil {
		return
	}
	own, caller := ctx.Spans()
	code := ""
	if err != nil && !isEndOfStream(err) {
		code = problem.From(err).Code.String()
	}
	s.c.Tracer.Record(&telemetry.SpanData{
		Trace: own.TraceID(), ID: own.SpanID(), Parent: caller.SpanID(), Flags: own.TraceFlags(), Kind: telemetry.Server,
		Stream: by == streaming, Direct: by == inProcess, Name: endpoint, Code: code, Start: start.UnixNano(), Took: end.Sub(start),
	})
	if by != streaming {
		s.red.observe(s.c.Name, endpoint, code, end, end.Sub(start), own)
	}
}

// joined puts a call that came over gRPC or go-micro's RPC into its caller's trace. done is to be called when it is over.
func (s *Server) joined(ctx context.Context, req server.Request, parent string) (_ context.Context, done func(error)) {
	start := time.Now()
	ctx, span := s.c.Tracer.Join(ctx, parent, req.Endpoint(), telemetry.Server)
	if req.Stream() {
		span.Streamed()
	}
	return ctx, func(err error) {
		code := ""
		if err != nil && !isEndOfStream(err) {
			code = problem.From(err).Code.String()
		}
		span.DoneWith(code)
		if end := time.Now(); !req.Stream() {
			s.red.observe(s.c.Name, req.Endpoint(), code, end, end.Sub(start), telemetry.Span(ctx))
		}
	}
}
