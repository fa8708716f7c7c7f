package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/cleavehq/cleave/bench/edge/item"
	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/chassis/discovery"
	"github.com/cleavehq/cleave/chassis/rpc"
)

const (
	itemID   = "0192f5a0-0000-7000-8000-000000000001"
	itemPath = "/v1/items/" + itemID
)

func theItem(id string) *item.Item {
	return &item.Item{Id: id, Title: "Stoneware mug", Amount: 1990, Currency: "EUR"}
}

// addresses are where the same item is to be had.
type addresses struct {
	JSON string // over HTTP
	GRPC string // of grpc-go's own server, with nothing around it
}

// serveUpstream is the process behind every gateway: a server of JSON for those that only pass on, one of grpc-go for grpc-gateway and vanguard,
// and a module of Cleave's, in the registry of an mDNS domain, for ours.
func serveUpstream(domain string) error {
	var at addresses
	web, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return err
	}
	at.JSON = web.Addr().String()
	go func() {
		_ = (&http.Server{Handler: http.HandlerFunc(answerJSON), ReadHeaderTimeout: time.Minute}).Serve(web)
	}()

	raw, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return err
	}
	at.GRPC = raw.Addr().String()
	gs := grpc.NewServer()
	item.RegisterItemsServer(gs, grpcItems{})
	go func() { _ = gs.Serve(raw) }()

	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	reg, err := discovery.NewMDNS(discovery.MDNSConfig{Domain: domain, Log: log})
	if err != nil {
		return err
	}
	s, err := rpc.NewServer(rpc.ServerConfig{Name: "items", Contract: item.File_item_proto, Registry: reg, Log: log})
	if err != nil {
		return err
	}
	if err := item.RegisterItemsHandler(s, microItems{}); err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	if err := child.TellJSON(at); err != nil {
		return err
	}
	err = child.Serve(func(string) (any, error) { return nil, nil })
	return errors.Join(err, s.Stop(), reg.Close())
}

func answerJSON(w http.ResponseWriter, r *http.Request) {
	b, err := protojson.Marshal(theItem(strings.TrimPrefix(r.URL.Path, "/v1/items/")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

type grpcItems struct{ item.UnimplementedItemsServer }

func (grpcItems) GetItem(_ context.Context, in *item.GetItemRequest) (*item.Item, error) {
	return theItem(in.GetId()), nil
}

type microItems struct{}

func (microItems) GetItem(_ context.Context, in *item.GetItemRequest, out *item.Item) error {
	out.Id, out.Title, out.Amount, out.Currency = in.GetId(), "Stoneware mug", 1990, "EUR"
	return nil
}
