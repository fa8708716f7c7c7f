package main

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cleavehq/cleave/bench/echo"
)

const path = "/bench.echo.Echo/Say"

// serveGRPC is grpc-go alone, as its generated code would use it.
func serveGRPC() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return "", err
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.echo.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Say", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in, out := new(echo.Message), new(echo.Message)
			if err := decode(in); err != nil {
				return nil, err
			}
			answer(in, out)
			return out, nil
		}}},
	}, nil)
	go func() { _ = s.Serve(ln) }()
	return ln.Addr().String(), nil
}

func dialGRPC(address string) (say, error) {
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) {
		out := new(echo.Message)
		return out, c.Invoke(ctx, path, in, out)
	}, nil
}
