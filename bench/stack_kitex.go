package main

import (
	"context"
	"errors"
	"net"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/pkg/serviceinfo"
	"github.com/cloudwego/kitex/server"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/bench/echo"
)

// kitex is measured with its own protocol, protobuf's own encoding, and calls multiplexed over one connection, its fastest way. What its
// generator would write is here by hand: the generator is a program of its own.

type kitexEcho interface {
	Say(ctx context.Context, in *echo.Message) (*echo.Message, error)
}

type kitexEchoer struct{}

func (kitexEchoer) Say(_ context.Context, in *echo.Message) (*echo.Message, error) { //nolint:unparam // it has to look like that
	out := new(echo.Message)
	answer(in, out)
	return out, nil
}

// kitexMessage holds the request or the response.
type kitexMessage struct{ m *echo.Message }

func (k *kitexMessage) Marshal([]byte) ([]byte, error) { return proto.Marshal(k.m) }

func (k *kitexMessage) Unmarshal(in []byte) error {
	k.m = new(echo.Message)
	return proto.Unmarshal(in, k.m)
}

func kitexService() *serviceinfo.ServiceInfo {
	empty := func() any { return new(kitexMessage) }
	say := serviceinfo.NewMethodInfo(func(ctx context.Context, handler, in, out any) error {
		h, isHandler := handler.(kitexEcho)
		from, isIn := in.(*kitexMessage)
		to, isOut := out.(*kitexMessage)
		if !isHandler || !isIn || !isOut {
			return errors.New("of another type")
		}
		var err error
		to.m, err = h.Say(ctx, from.m)
		return err
	}, empty, empty, false)
	return &serviceinfo.ServiceInfo{
		ServiceName: "Echo", HandlerType: (*kitexEcho)(nil), Methods: map[string]serviceinfo.MethodInfo{"Say": say},
		PayloadCodec: serviceinfo.Protobuf, Extra: map[string]any{"PackageName": "bench.echo"},
	}
}

func serveKitex() (string, error) {
	klog.SetLevel(klog.LevelFatal)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return "", err
	}
	s := server.NewServer(server.WithListener(ln), server.WithMuxTransport())
	if err := s.RegisterService(kitexService(), new(kitexEchoer)); err != nil {
		return "", err
	}
	go func() { _ = s.Run() }()
	return ln.Addr().String(), nil
}

func dialKitex(address string) (say, error) {
	klog.SetLevel(klog.LevelFatal)
	c, err := client.NewClient(kitexService(), client.WithHostPorts(address), client.WithMuxConnection(1), client.WithDestService("Echo"))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, in *echo.Message) (*echo.Message, error) {
		var out kitexMessage
		err := c.Call(ctx, "Say", &kitexMessage{in}, &out)
		return out.m, err
	}, nil
}
