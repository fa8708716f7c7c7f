package api_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry, cache and stock client never end.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry/cache.(*cache).run"),
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry/cache.(*cache).watch.func1"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const anID = "0192f5a0-0000-7000-8000-000000000001"

// shelf is a catalogue of which tests replace what they look at.
type shelf struct {
	catalogv1.CatalogHandler // the rest is not called

	get    func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error
	export func(context.Context, catalogv1.Catalog_ExportProductsStream) error
	list   *catalogv1.ListProductsRequest
	update *catalogv1.UpdateProductRequest
}

func (s *shelf) GetProduct(ctx context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
	if s.get != nil {
		return s.get(ctx, in, out)
	}
	out.Id, out.Handle, out.Title = in.GetId(), in.GetHandle(), "A thing"
	return nil
}

func (s *shelf) ListProducts(_ context.Context, in *catalogv1.ListProductsRequest, _ *catalogv1.ListProductsResponse) error {
	s.list = in
	return nil
}

func (s *shelf) SearchProducts(context.Context, *catalogv1.SearchProductsRequest, *catalogv1.SearchProductsResponse) error {
	return errors.New("the disk is on fire, password=hunter2")
}

func (s *shelf) CreateProduct(_ context.Context, in *catalogv1.CreateProductRequest, out *catalogv1.Product) error {
	proto.Merge(out, in.GetProduct())
	return nil
}

func (s *shelf) UpdateProduct(_ context.Context, in *catalogv1.UpdateProductRequest, out *catalogv1.Product) error {
	s.update = in
	proto.Merge(out, in.GetProduct())
	return nil
}

func (s *shelf) GetVariant(_ context.Context, in *catalogv1.GetVariantRequest, out *catalogv1.GetVariantResponse) error {
	if in.GetSku() == "none" {
		return problem.NotFound("VARIANT_NOT_FOUND", "no variant %s", in.GetSku())
	}
	out.Variant = &catalogv1.Variant{Sku: in.GetSku(), Price: &typev1.Money{Currency: "EUR", Minor: 1999}}
	return nil
}

func (s *shelf) ExportProducts(ctx context.Context, _ *catalogv1.ExportProductsRequest, st catalogv1.Catalog_ExportProductsStream) error {
	return s.export(ctx, st)
}

type basket struct{ cartv1.CartHandler }

func (basket) CreateCart(_ context.Context, in *cartv1.CreateCartRequest, out *cartv1.ShoppingCart) error {
	out.Id, out.State = anID, cartv1.CartState_CART_STATE_OPEN
	for _, i := range in.GetItems() {
		out.Items = append(out.Items, &cartv1.Item{Sku: i.GetSku(), Quantity: i.GetQuantity()})
	}
	return nil
}

func (basket) AddItem(_ context.Context, in *cartv1.AddItemRequest, out *cartv1.ShoppingCart) error {
	out.Id, out.Items = in.GetCartId(), []*cartv1.Item{{Sku: in.GetSku(), Quantity: in.GetQuantity()}}
	return nil
}

func (basket) GetCart(_ context.Context, in *cartv1.GetCartRequest, _ *cartv1.ShoppingCart) error {
	return problem.NotFound("CART_NOT_FOUND", "no cart %s", in.GetCartId())
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serve starts an instance of a module; it is stopped by the function it returns, and when the test ends.
func serve(t *testing.T, reg registry.Registry, name, id string, contract protoreflect.FileDescriptor, register func(server.Server) error) *rpc.Server {
	t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{
		Name: name, ID: id, Version: "1.2.3", Contract: contract, Registry: reg, Log: quiet(), DrainWait: time.Millisecond,
	})
	if err == nil {
		err = register(s)
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func catalogue(t *testing.T, reg registry.Registry, h *shelf) *rpc.Server {
	t.Helper()
	return serve(t, reg, "catalog", "1", catalogv1.File_shop_catalog_v1_catalog_proto, func(s server.Server) error {
		return catalogv1.RegisterCatalogHandler(s, h)
	})
}

func carts(t *testing.T, reg registry.Registry) *rpc.Server {
	t.Helper()
	return serve(t, reg, "cart", "1", cartv1.File_shop_cart_v1_cart_proto, func(s server.Server) error {
		return cartv1.RegisterCartHandler(s, basket{})
	})
}

// edge is a gateway that runs, and a client of it.
type edge struct {
	t       *testing.T
	base    string
	http    *http.Client
	metrics *prometheus.Registry
	admin   map[string]http.Handler
	gateway *api.Gateway
	stop    func() error // ends it, and returns what Serve did
}

// start starts a gateway, and waits until it is ready.
func start(t *testing.T, reg registry.Registry, with ...func(*api.Config)) *edge {
	t.Helper()
	e := listening(t, reg, with...)
	e.eventually("ready", func() bool { return e.get("/readyz").status == http.StatusOK })
	return e
}

// listening starts a gateway, which may have no routes yet.
func listening(t *testing.T, reg registry.Registry, with ...func(*api.Config)) *edge {
	t.Helper()
	t.Parallel() // a gateway takes a second to stop
	client, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	c := api.Config{Registry: reg, Client: client, Log: quiet(), Metrics: prometheus.NewRegistry(), Version: "9.9"}
	for _, f := range with {
		f(&c)
	}
	g, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, ln) }()
	transport, scheme := &http.Transport{DisableCompression: true}, "http://"
	if c.TLS != nil {
		transport.TLSClientConfig, scheme = &tls.Config{InsecureSkipVerify: true}, "https://"
	}
	e := &edge{
		t: t, base: scheme + ln.Addr().String(), metrics: c.Metrics, admin: g.AdminHandlers(), gateway: g,
		http: &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		stop: sync.OnceValue(func() error {
			cancel()
			return <-done
		}),
	}
	t.Cleanup(func() {
		if err := e.stop(); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
		_ = client.Close()
	})
	return e
}

// running starts a gateway with a catalogue and carts behind it.
func running(t *testing.T, h *shelf, with ...func(*api.Config)) *edge {
	t.Helper()
	reg := registry.NewMemoryRegistry()
	catalogue(t, reg, h)
	carts(t, reg)
	return start(t, reg, with...)
}

func (e *edge) eventually(what string, ok func() bool) time.Duration {
	e.t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < time.Minute {
		if ok() {
			return time.Since(began)
		}
		<-tick.C
	}
	e.t.Fatalf("not %s", what)
	return 0
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// problem reads a problem document.
func (a answer) problem(t *testing.T) (p struct {
	problem.Document
	RequestID string `json:"request_id"`
}) {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q of status %d: %s", got, a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Errorf("%v in %s", err, a.body)
	}
	if p.Status != a.status || p.Type == "" || p.Title == "" || p.Detail == "" || p.Code == "" || p.Reason == "" || p.TraceID == "" || p.RequestID == "" {
		t.Errorf("status %d, and the document lacks something: %s", a.status, a.body)
	}
	return p
}

// send sends a request; headers are pairs.
func (e *edge) send(method, path, body string, headers ...string) answer {
	e.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, e.base+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	rsp, err := e.http.Do(req)
	if err != nil {
		e.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = rsp.Body.Close() }()
	raw, err := io.ReadAll(rsp.Body)
	return answer{rsp.StatusCode, rsp.Header, string(raw), err}
}

func (e *edge) get(path string, headers ...string) answer {
	return e.send(http.MethodGet, path, "", headers...)
}

func (e *edge) json(method, path, body string) answer {
	return e.send(method, path, body, "Content-Type", "application/json")
}

// flaky is a registry that can be told to fail.
type flaky struct {
	registry.Registry
	broken atomic.Bool
}

func (f *flaky) ListServices(o ...registry.ListOption) ([]*registry.Service, error) {
	if f.broken.Load() {
		return nil, errors.New("no answer")
	}
	return f.Registry.ListServices(o...)
}

func (f *flaky) GetService(name string, o ...registry.GetOption) ([]*registry.Service, error) {
	if f.broken.Load() {
		return nil, errors.New("no answer")
	}
	return f.Registry.GetService(name, o...)
}
