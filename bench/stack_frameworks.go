package main

import (
	"context"
	"errors"
	"net"
	"net/http"

	kit "github.com/go-kit/kit/transport/grpc"
	kratos "github.com/go-kratos/kratos/v2/transport/grpc"
	"github.com/zeromicro/go-zero/core/conf"
	"github.com/zeromicro/go-zero/core/logx"
	"github.com/zeromicro/go-zero/zrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cleavehq/cleave/bench/echo"
)

// Frameworks are measured as they are without a setting, except that they don't log: go-zero writes a line for every call to the output
// that the parent listens to.

func serveKratos() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return "", err
	}
	s := kratos.NewServer(kratos.Listener(ln))
	s.RegisterService(grpcEcho(), nil)
	go func() { _ = s.Start(context.Background()) }()
	return ln.Addr().String(), nil
}

func dialKratos(address string) (say, error) {
	c, err := kratos.DialInsecure(context.Background(), kratos.WithEndpoint(address))
	return overGRPC(c), err
}

func serveZero() (string, error) {
	address, err := freeAddress()
	if err != nil {
		return "", err
	}
	var c zrpc.RpcServerConf
	if err := conf.FillDefault(&c); err != nil {
		return "", err
	}
	c.Name, c.ListenOn = "echo", address
	s, err := zrpc.NewServer(c, func(s *grpc.Server) { s.RegisterService(grpcEcho(), nil) })
	if err != nil {
		return "", err
	}
	logx.Disable()
	go s.Start()
	return address, listening(address)
}

func dialZero(address string) (say, error) {
	logx.Disable()
	var c zrpc.RpcClientConf
	if err := conf.FillDefault(&c); err != nil {
		return nil, err
	}
	c.Endpoints = []string{address}
	cl, err := zrpc.NewClient(c)
	if err != nil {
		return nil, err
	}
	return overGRPC(cl.Conn()), nil
}

// asIs is go-kit's place to convert messages from and to those of the wire: here they are the same.
func asIs(_ context.Context, m any) (any, error) { return m, nil }

func serveKit() (string, error) {
	handler := kit.NewServer(func(_ context.Context, request any) (any, error) {
		in, ok := request.(*echo.Message)
		if !ok {
			return nil, errors.New("another request")
		}
		out := new(echo.Message)
		answer(in, out)
		return out, nil
	}, asIs, asIs)
	return servedGRPC(unary(func(ctx context.Context, in *echo.Message) (any, error) {
		_, out, err := handler.ServeGRPC(ctx, in)
		return out, err
	}))
}

func dialKit(address string) (say, error) {
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	endpoint := kit.NewClient(c, "bench.echo.Echo", "Say", asIs, asIs, echo.Message{}).Endpoint()
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) {
		out, err := endpoint(ctx, in)
		if err != nil {
			return nil, err
		}
		m, ok := out.(*echo.Message)
		if !ok {
			return nil, errors.New("another answer")
		}
		return m, nil
	}, nil
}

type twirpEchoer struct{}

func (twirpEchoer) Say(_ context.Context, in *echo.Message) (*echo.Message, error) {
	out := new(echo.Message)
	answer(in, out)
	return out, nil
}

func serveTwirp() (string, error) { return serveHTTP(echo.NewEchoServer(twirpEchoer{})) }

// dialTwirp keeps the connections that it needs: with the two of net/http's default it would mostly open and close them.
func dialTwirp(address string) (say, error) {
	c := echo.NewEchoProtobufClient("http://"+address, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}})
	return c.Say, nil
}
