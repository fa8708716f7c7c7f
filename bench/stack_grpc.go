package main

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cleavehq/cleave/bench/echo"
)

const path = "/bench.echo.Echo/Say"

// unary is what protoc-gen-go-grpc would write for Say.
func unary(h func(ctx context.Context, in *echo.Message) (any, error)) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "bench.echo.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Say", Handler: func(
			srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor,
		) (any, error) {
			in := new(echo.Message)
			if err := decode(in); err != nil {
				return nil, err
			}
			if intercept == nil {
				return h(ctx, in)
			}
			return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: path}, func(ctx context.Context, _ any) (any, error) { return h(ctx, in) })
		}}},
		Metadata: "echo.proto",
	}
}

func grpcEcho() *grpc.ServiceDesc {
	return unary(func(_ context.Context, in *echo.Message) (any, error) {
		out := new(echo.Message)
		answer(in, out)
		return out, nil
	})
}

// serveGRPC is grpc-go alone, as its generated code would use it.
func serveGRPC() (string, error) { return servedGRPC(grpcEcho()) }

func servedGRPC(d *grpc.ServiceDesc) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return "", err
	}
	s := grpc.NewServer()
	s.RegisterService(d, nil)
	go func() { _ = s.Serve(ln) }()
	return ln.Addr().String(), nil
}

func dialGRPC(address string) (say, error) {
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return overGRPC(c), err
}

func overGRPC(c *grpc.ClientConn) say {
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) {
		out := new(echo.Message)
		return out, c.Invoke(ctx, path, in, out)
	}
}

// freeAddress is for servers that don't say which port they took.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// listening waits until something listens there.
func listening(address string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		var nc net.Conn
		if nc, err = net.Dial("tcp", address); err == nil { //nolint:noctx // loopback
			return nc.Close()
		}
	}
	return err
}
