package main

import (
	"context"
	"net"
	"net/http"

	"connectrpc.com/connect"
	"github.com/containerd/ttrpc"

	"github.com/cleavehq/cleave/bench/echo"
)

func serveTTRPC() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return "", err
	}
	s, err := ttrpc.NewServer()
	if err != nil {
		return "", err
	}
	s.Register("bench.echo.Echo", map[string]ttrpc.Method{"Say": func(_ context.Context, decode func(any) error) (any, error) {
		in, out := new(echo.Message), new(echo.Message)
		if err := decode(in); err != nil {
			return nil, err
		}
		answer(in, out)
		return out, nil
	}})
	go func() { _ = s.Serve(context.Background(), ln) }()
	return ln.Addr().String(), nil
}

func dialTTRPC(address string) (say, error) {
	nc, err := net.Dial("tcp", address) //nolint:noctx // as long as the process
	if err != nil {
		return nil, err
	}
	c := ttrpc.NewClient(nc)
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) {
		out := new(echo.Message)
		return out, c.Call(ctx, "bench.echo.Echo", "Say", in, out)
	}, nil
}

// serveHTTP serves h over HTTP/1 and unencrypted HTTP/2.
func serveHTTP(h http.Handler) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, Protocols: protocols(true)} //nolint:gosec // no strangers here
	go func() { _ = s.Serve(ln) }()
	return ln.Addr().String(), nil
}

func protocols(http1 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(true)
	return p
}

func serveConnect() (string, error) {
	mux := http.NewServeMux()
	mux.Handle(path, connect.NewUnaryHandler(path, func(_ context.Context, r *connect.Request[echo.Message]) (*connect.Response[echo.Message], error) {
		out := new(echo.Message)
		answer(r.Msg, out)
		return connect.NewResponse(out), nil
	}))
	return serveHTTP(mux)
}

func dialConnect(address string) (say, error) {
	hc := &http.Client{Transport: &http.Transport{Protocols: protocols(false)}}
	c := connect.NewClient[echo.Message, echo.Message](hc, "http://"+address+path)
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) {
		r, err := c.CallUnary(ctx, connect.NewRequest(in))
		if err != nil {
			return nil, err
		}
		return r.Msg, nil
	}, nil
}
