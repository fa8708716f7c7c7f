package rpc

import (
	"context"
	"strings"

	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/server"
	grpcmetadata "google.golang.org/grpc/metadata"

	"github.com/cleavehq/cleave/chassis/problem"
)

// priorityHeader is package resilience's PriorityHeader.
const priorityHeader = "Cleave-Priority"

// priorityOf is what a gRPC call says of itself.
func priorityOf(ctx context.Context) string {
	return strings.Join(grpcmetadata.ValueFromIncomingContext(ctx, priorityHeader), ",")
}

func (s *Server) admit(ctx context.Context, m *method, priority string) (leave func(error), err error) {
	leave, err = s.c.Admit(ctx, m.desc, priority)
	if err != nil {
		return nil, problem.From(err)
	}
	return leave, nil
}

// admitted lets calls in that came over go-micro's RPC, where the stock server has decoded them already.
func (s *Server) admitted(next server.HandlerFunc) server.HandlerFunc {
	if s.c.Admit == nil {
		return next
	}
	return func(ctx context.Context, req server.Request, rsp any) (err error) {
		m := s.methods[strings.Replace(req.Endpoint(), ".", "/", 1)]
		if m == nil || m.streamed {
			return next(ctx, req, rsp)
		}
		said, _ := metadata.Get(ctx, priorityHeader)
		leave, err := s.admit(ctx, m, said)
		if err != nil {
			return err
		}
		defer func() { leave(err) }()
		return next(ctx, req, rsp)
	}
}
