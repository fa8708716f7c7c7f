package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func get(ctx context.Context, c *Client, opts ...client.CallOption) error {
	_, err := catalogv1.NewCatalogService("catalog", c).
		GetProduct(ctx, &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}}, opts...)
	return err
}

func create(ctx context.Context, c *Client, opts ...client.CallOption) error {
	_, err := catalogv1.NewCatalogService("catalog", c).CreateProduct(ctx, &catalogv1.CreateProductRequest{Product: valid("x")}, opts...)
	return err
}

func TestNotInTheRegistry(t *testing.T) {
	wantProblem(t, get(t.Context(), dial(t, registry.NewMemoryRegistry())), codes.Unavailable, ReasonNotInRegistry)
}

func TestFindsAServiceThatStartsLater(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	c := dial(t, reg)
	wantProblem(t, get(t.Context(), c), codes.Unavailable, ReasonNotInRegistry)
	serve(t, reg, "1", &shop{})
	eventually(t, "found", func() bool { return get(t.Context(), c) == nil })
}

// dead returns an address where nothing listens.
func dead(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

func addNode(t *testing.T, reg registry.Registry, id, address string) {
	t.Helper()
	s := &registry.Service{Name: "catalog", Version: "1.2.3", Nodes: []*registry.Node{{Id: id, Address: address}}}
	if err := reg.Register(s); err != nil {
		t.Fatal(err)
	}
}

func TestADeadInstanceCostsNothing(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	h := &shop{}
	serve(t, reg, "1", h)
	gone := dead(t)
	addNode(t, reg, "gone", gone)
	c := dial(t, reg)
	const n = 200
	for range n {
		if err := create(t.Context(), c); err != nil { // not idempotent, but surely not sent
			t.Fatal(err)
		}
	}
	if got := h.calls.Load(); got != n {
		t.Errorf("%d calls made %d", n, got)
	}
	p, err := c.peer("catalog", &registry.Node{Address: gone})
	if err != nil {
		t.Fatal(err)
	}
	if !p.ejectedAt(time.Now()) {
		t.Error("the dead instance is not ejected")
	}
}

func TestTheLastInstanceIsNeverEjected(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	addr := dead(t)
	addNode(t, reg, "only", addr)
	c := dial(t, reg)
	wantProblem(t, get(t.Context(), c), codes.Unavailable, ReasonUnreachable)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	s, err := NewServer(ServerConfig{
		Name: "catalog", Address: addr, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: registry.NewMemoryRegistry(), Log: quiet(),
		DrainWait: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := catalogv1.RegisterCatalogHandler(s, &shop{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }()
	eventually(t, "reached again", func() bool { return get(t.Context(), c) == nil })
}

// crash loses every connection of s.
func crash(s *Server) {
	s.grpc.Stop()
	if s.lane == nil {
		return
	}
	s.lane.mu.Lock()
	defer s.lane.mu.Unlock()
	cut, cancel := context.WithCancel(context.Background())
	cancel()
	for c := range s.lane.conns {
		go c.Drain(cut)
	}
}

// crashing serves a catalogue that loses its connections in the middle of a call.
func crashing(t *testing.T, reg registry.Registry, id string, noLane bool) *shop {
	t.Helper()
	h := &shop{}
	s := startServer(t, ServerConfig{
		Name: "catalog", ID: id, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1, NoLane: noLane,
	}, h)
	crash := func(ctx context.Context) error {
		go crash(s)
		<-ctx.Done()
		return ctx.Err()
	}
	h.get = func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
		return crash(ctx)
	}
	h.create = func(ctx context.Context, _ *catalogv1.CreateProductRequest, _ *catalogv1.Product) error {
		return crash(ctx)
	}
	return h
}

func TestALostConnection(t *testing.T) {
	for _, noLane := range []bool{true, false} {
		t.Run(fmt.Sprintf("no_lane_%v", noLane), func(t *testing.T) { lostConnection(t, noLane) })
	}
}

func lostConnection(t *testing.T, noLane bool) {
	t.Helper()
	t.Run("an idempotent call goes to another instance", func(t *testing.T) {
		reg := registry.NewMemoryRegistry()
		crashing(t, reg, "bad", noLane)
		serve(t, reg, "good", &shop{})
		c := dial(t, reg)
		for range 50 {
			if err := get(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("another one is not sent twice", func(t *testing.T) {
		reg := registry.NewMemoryRegistry()
		bad, good := crashing(t, reg, "bad", noLane), &shop{}
		serve(t, reg, "good", good)
		c := dial(t, reg)
		var failed, sent int64
		for bad.calls.Load() == 0 {
			sent++
			if err := create(t.Context(), c); err != nil {
				failed++
				wantProblem(t, err, codes.Unavailable, ReasonOutcomeUnknown)
			}
		}
		if failed != 1 || bad.calls.Load() != 1 || good.calls.Load() != sent-1 {
			t.Errorf("of %d calls %d failed; the instances ran %d and %d", sent, failed, bad.calls.Load(), good.calls.Load())
		}
	})
}

func TestRetriesStayWithinTheBudget(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	h := &shop{get: func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
		return problem.Unavailable("OVERLOADED", "not now")
	}}
	serve(t, reg, "1", h)
	serve(t, reg, "2", h)
	c := dial(t, reg)
	start := time.Now()
	const n = 2000
	for range n {
		wantProblem(t, get(t.Context(), c), codes.Unavailable, "OVERLOADED")
	}
	allowed := n*(1+budgetPerCall) + budgetMax + budgetPerSecond*time.Since(start).Seconds() + 1
	if got := float64(h.calls.Load()); got > allowed || got < n*(1+budgetPerCall) {
		t.Errorf("%d calls made %.0f attempts, want %.0f to %.0f", n, got, n*(1+budgetPerCall), allowed)
	}
}

func TestDeadlineAndCancel(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	h := &shop{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	serve(t, reg, "1", h)
	c := dial(t, reg)
	// Long enough for the call to arrive on a machine that has other work.
	wantProblem(t, get(t.Context(), c, client.WithRequestTimeout(500*time.Millisecond)), codes.DeadlineExceeded, "DEADLINE_EXCEEDED")
	if h.calls.Load() != 1 {
		t.Errorf("a call that was late was sent %d times", h.calls.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	wantProblem(t, get(ctx, c), codes.Canceled, "CANCELED")
}

// flaky is a registry that can be made to fail.
type flaky struct {
	registry.Registry
	down atomic.Bool
}

func (f *flaky) GetService(name string, o ...registry.GetOption) ([]*registry.Service, error) {
	if f.down.Load() {
		return nil, errors.New("no answer")
	}
	return f.Registry.GetService(name, o...)
}

func TestTheLastGoodAnswerOfTheRegistryStays(t *testing.T) {
	reg := &flaky{Registry: registry.NewMemoryRegistry()}
	serve(t, reg, "1", &shop{})
	c := dial(t, reg)
	if err := get(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	reg.down.Store(true)
	tg, err := c.target("catalog")
	if err != nil {
		t.Fatal(err)
	}
	tg.refresh()
	if err := get(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestWithAddressNeedsNoRegistry(t *testing.T) {
	s := serve(t, registry.NewMemoryRegistry(), "1", &shop{})
	if err := get(t.Context(), dial(t, registry.NewMemoryRegistry()), client.WithAddress(s.Address())); err != nil {
		t.Error(err)
	}
}

func TestDynamicMessages(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	serve(t, reg, "1", &shop{})
	c := dial(t, reg)
	md := catalogv1.File_shop_catalog_v1_catalog_proto.Services().ByName("Catalog").Methods().ByName("GetProduct")
	in, out := dynamicpb.NewMessage(md.Input()), dynamicpb.NewMessage(md.Output())
	in.Set(md.Input().Fields().ByName("id"), protoreflect.ValueOfString(anID))
	if err := c.Call(t.Context(), c.NewRequest("catalog", "Catalog.GetProduct", in), out, WithMethod(md)); err != nil {
		t.Fatal(err)
	}
	if got := out.Get(md.Output().Fields().ByName("title")).String(); got != "A thing" {
		t.Errorf("title %q", got)
	}
}

func TestStreams(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	h := &shop{}
	serve(t, reg, "1", h)
	c := catalogv1.NewCatalogService("catalog", dial(t, reg))
	stream, err := c.ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var ids string
	for {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ids += p.GetId()
	}
	if ids != "abc" {
		t.Errorf("got %q", ids)
	}

	h.export = func(context.Context, *catalogv1.ExportProductsRequest, catalogv1.Catalog_ExportProductsStream) error {
		return problem.NotFound("NOTHING", "nothing to export")
	}
	if stream, err = c.ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantProblem(t, err, codes.NotFound, "NOTHING")
}

func TestClosingAStreamEndsTheHandler(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	ended := make(chan struct{})
	h := &shop{export: func(ctx context.Context, _ *catalogv1.ExportProductsRequest, s catalogv1.Catalog_ExportProductsStream) error {
		defer close(ended)
		if err := s.Send(&catalogv1.Product{Id: "a"}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	serve(t, reg, "1", h)
	c := dial(t, reg)
	stream, err := catalogv1.NewCatalogService("catalog", c).ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	nodes, err := reg.GetService("catalog")
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.peer("catalog", nodes[0].Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream counted as ended", func() bool { return p.running.Load() == 0 })
}

func TestBadEndpoint(t *testing.T) {
	c := dial(t, registry.NewMemoryRegistry())
	for _, e := range []string{"", "GetProduct", ".GetProduct", "Catalog.", "a.b.c", "Catalog/GetProduct.x"} {
		err := c.Call(t.Context(), c.NewRequest("catalog", e, nil), nil)
		wantProblem(t, err, codes.InvalidArgument, "BAD_ENDPOINT")
	}
}

func TestEjectionGrowsAndIsForgotten(t *testing.T) {
	now := time.Unix(0, 0)
	p := &peer{}
	for _, want := range []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9, 30e9, 30e9} {
		if !p.eject(now) || p.until.Sub(now) != want {
			t.Fatalf("ejected for %v, want %v", p.until.Sub(now), want)
		}
		if p.eject(now) {
			t.Fatal("ejected twice")
		}
		now = p.until
	}
	p.restore()
	if p.eject(now); p.until.Sub(now) != time.Second {
		t.Errorf("after it answered: ejected for %v", p.until.Sub(now))
	}
}
