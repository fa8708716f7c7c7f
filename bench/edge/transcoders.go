package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"connectrpc.com/vanguard"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cleavehq/cleave/bench/edge/item"
	itemgw "github.com/cleavehq/cleave/bench/edge/item/gateway"
	"github.com/cleavehq/cleave/bench/internal/child"
)

// serveGRPCGateway is grpc-gateway with the code that it generates, as its documentation sets it up.
func serveGRPCGateway(address, upstream string) error {
	conn, err := grpc.NewClient(upstream, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	mux := runtime.NewServeMux()
	if err := itemgw.RegisterItemsHandler(context.Background(), mux, conn); err != nil {
		return err
	}
	return front(address, mux)
}

// serveVanguard is vanguard in front of a gRPC server that it reaches over HTTP/2, as its documentation sets it up.
func serveVanguard(address, upstream string) error {
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: upstream})
	proxy.Transport, proxy.FlushInterval = &http.Transport{Protocols: p}, -1
	schema := item.File_item_proto.Services().ByName("Items")
	s := vanguard.NewServiceWithSchema(schema, proxy, vanguard.WithTargetProtocols(vanguard.ProtocolGRPC), vanguard.WithTargetCodecs(vanguard.CodecProto))
	t, err := vanguard.NewTranscoder([]*vanguard.Service{s})
	if err != nil {
		return err
	}
	return front(address, t)
}

// front serves until the parent is gone.
func front(address string, h http.Handler) error {
	ln, err := net.Listen("tcp", address) //nolint:noctx // as long as the process
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(ln) }()
	if err := child.Serve(func(string) (any, error) { return nil, nil }); err != nil {
		return err
	}
	return srv.Shutdown(context.Background())
}
