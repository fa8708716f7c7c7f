package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/telemetry"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// shelf is a catalogue of three products. What it doesn't have panics, which is a test too.
type shelf struct {
	catalogv1.CatalogHandler
	seen atomic.Pointer[metadata.Metadata]
}

func (s *shelf) GetProduct(ctx context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
	md, _ := metadata.FromContext(ctx)
	s.seen.Store(&md)
	switch in.GetHandle() {
	case "none":
		return problem.NotFound("PRODUCT_NOT_FOUND", "no product has the handle none")
	case "broken":
		return errors.New("password=hunter2")
	case "slow":
		<-ctx.Done()
		return ctx.Err()
	}
	out.Handle, out.Title = in.GetHandle(), telemetry.TraceID(ctx)
	return nil
}

func (s *shelf) ExportProducts(_ context.Context, in *catalogv1.ExportProductsRequest, out catalogv1.Catalog_ExportProductsStream) error {
	if in.GetCategory() == "refused" {
		return problem.PermissionDenied("NO", "not you")
	}
	for _, h := range []string{"a", "b"} {
		if err := out.Send(&catalogv1.Product{Handle: h}); err != nil {
			return err
		}
	}
	if in.GetCategory() == "breaks" {
		return problem.Unavailable("BROKE", "half way")
	}
	return nil
}

func (s *shelf) CreateCategory(_ context.Context, in *catalogv1.CreateCategoryRequest, out *catalogv1.Category) error {
	out.Slug, out.Title = in.GetCategory().GetSlug(), in.GetCategory().GetTitle()
	return nil
}

// flaky is a registry that can be made to fail.
type flaky struct {
	registry.Registry
	down atomic.Bool
}

func (f *flaky) ListServices(o ...registry.ListOption) ([]*registry.Service, error) {
	if f.down.Load() {
		return nil, errors.New("no answer")
	}
	return f.Registry.ListServices(o...)
}

type edge struct {
	*Gateway
	reg *flaky
}

// everybody may call all of the catalogue that its contract exposes.
func everybody() kv.Watcher {
	return kv.Static{"shop.catalog.v1.Catalog/*": []byte(`{"public": true}`)}
}

// open runs a gateway on a registry of its own, where everybody may do everything.
func open(t *testing.T, change func(*Config)) *edge {
	t.Helper()
	reg, log := &flaky{Registry: registry.NewMemoryRegistry()}, slog.New(slog.DiscardHandler)
	c, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	conf := Config{Registry: reg, Client: c, Log: log, Overrides: everybody()}
	if change != nil {
		change(&conf)
	}
	g, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, c.Close()); err != nil {
			t.Error(err)
		}
	})
	return &edge{g, reg}
}

// serve starts a catalogue under a name in the registry.
func (e *edge) serve(t *testing.T, name string) (*rpc.Server, *shelf) {
	t.Helper()
	h := &shelf{}
	return e.handle(t, name, h), h
}

// handle starts a server with a catalogue's handler.
func (e *edge) handle(t *testing.T, name string, h catalogv1.CatalogHandler) *rpc.Server {
	t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{
		Name: name, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: e.reg, Log: slog.New(slog.DiscardHandler), DrainWait: time.Millisecond,
	})
	if err == nil {
		err = catalogv1.RegisterCatalogHandler(s, h)
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// do is one request. A connection that the gateway cuts ends it too.
func (e *edge) do(method, target, body string, header ...string) (w *httptest.ResponseRecorder) {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w = httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			panic(p)
		}
	}()
	e.Handler().ServeHTTP(w, r)
	return w
}

// eventually fails when a GET doesn't have that status within five seconds; it returns how long it took.
func (e *edge) eventually(t *testing.T, target string, status int) time.Duration {
	t.Helper()
	begin, tick := time.Now(), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for {
		w := e.do(http.MethodGet, target, "")
		if w.Code == status {
			return time.Since(begin)
		}
		if time.Since(begin) > 5*time.Second {
			t.Fatalf("GET %s is %d, want %d: %s", target, w.Code, status, w.Body)
		}
		<-tick.C
	}
}

const mug = "/v1/products/by-handle/mug"
