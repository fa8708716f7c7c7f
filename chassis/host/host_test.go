package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc/health/grpc_health_v1"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// shelf is a catalogue with categories only, kept in its own database.
type shelf struct {
	catalogv1.CatalogHandler // the rest is not called
	d                        Deps
}

func (s *shelf) CreateCategory(ctx context.Context, in *catalogv1.CreateCategoryRequest, out *catalogv1.Category) error {
	_, err := s.d.DB.ExecContext(ctx, `INSERT INTO shelves (slug, title) VALUES ($1, $2)`, in.GetCategory().GetSlug(), in.GetCategory().GetTitle())
	out.Slug = in.GetCategory().GetSlug()
	return err
}

func (s *shelf) GetCategory(ctx context.Context, in *catalogv1.GetCategoryRequest, out *catalogv1.Category) error {
	out.Slug = in.GetSlug()
	return s.d.DB.QueryRowContext(ctx, `SELECT title FROM shelves WHERE slug = $1`, in.GetSlug()).Scan(&out.Title)
}

func module(name string, stop func(context.Context) error) Module {
	return Module{
		Name: name, Contract: catalogv1.File_shop_catalog_v1_catalog_proto,
		Migrations: fstest.MapFS{"migrations/00001_shelves.sql": {Data: []byte(
			"-- +goose Up\nCREATE TABLE shelves (slug TEXT PRIMARY KEY, title TEXT NOT NULL);\n",
		)}},
		Start: func(_ context.Context, d Deps, s server.Server) (func(context.Context) error, error) {
			return stop, catalogv1.RegisterCatalogHandler(s, &shelf{d: d})
		},
	}
}

func config(t *testing.T, modules ...Module) Config {
	t.Helper()
	return Config{
		Modules: modules, Registry: registry.NewMemoryRegistry(), Broker: broker.NewMemoryBroker(), DataDir: t.TempDir(), Version: "1",
		Log: slog.New(slog.DiscardHandler), DrainWait: time.Millisecond,
	}
}

func TestModulesInOneProcess(t *testing.T) {
	var stopped []string
	stop := func(name string) func(context.Context) error {
		return func(context.Context) error {
			stopped = append(stopped, name)
			return nil
		}
	}
	c := config(t, module("one", stop("one")), module("two", stop("two")))
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := h.Addresses(); len(a) != 2 || a["one"] == a["two"] {
		t.Errorf("addresses %v", a)
	}
	// Each has its own registry entry, and its own data.
	for _, name := range []string{"one", "two"} {
		s := catalogv1.NewCatalogService(name, h.Client())
		in := &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: "tea", Title: "Tea of " + name}}
		if _, err := s.CreateCategory(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		got, err := s.GetCategory(t.Context(), &catalogv1.GetCategoryRequest{Slug: "tea"})
		if err != nil || got.GetTitle() != "Tea of "+name {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if _, err := os.Stat(filepath.Join(c.DataDir, name+".db")); err != nil {
			t.Error(err)
		}
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := strings.Join(stopped, " "); got != "two one" {
		t.Errorf("stopped %q, want the last first", got)
	}
	if _, err := c.Registry.GetService("one"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("still in the registry: %v", err)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Errorf("a second shutdown: %v", err)
	}
}

func TestAFailedStartLeavesNothing(t *testing.T) {
	stopped := false
	good := module("good", func(context.Context) error {
		stopped = true
		return nil
	})
	bad := module("bad", nil)
	bad.Start = func(context.Context, Deps, server.Server) (func(context.Context) error, error) {
		return nil, errors.New("no luck")
	}
	c := config(t, good, bad)
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "start bad: no luck") {
		t.Errorf("got %v", err)
	}
	if list, _ := c.Registry.ListServices(); len(list) != 0 || !stopped {
		t.Errorf("left in the registry: %v; stopped: %v", list, stopped)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, c := range map[string]Config{
		"no modules":               config(t),
		"two modules are called":   config(t, module("one", nil), module("one", nil)),
		"needs a name":             config(t, Module{}),
		"Registry, Broker and Log": {Modules: []Module{module("one", nil)}},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A host runs a module that needs nothing but its contract.
func Example() {
	h, err := New(Config{
		Modules: []Module{{
			Name: "greeter", Contract: grpc_health_v1.File_grpc_health_v1_health_proto,
			Migrations: fstest.MapFS{"migrations/00001_none.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}},
			Start: func(_ context.Context, d Deps, _ server.Server) (func(context.Context) error, error) {
				fmt.Println(d.Name, "starts")
				return nil, nil
			},
		}},
		Registry: registry.NewMemoryRegistry(), Broker: broker.NewMemoryBroker(), DataDir: os.TempDir(), Log: slog.New(slog.DiscardHandler),
		DrainWait: time.Millisecond,
	})
	if err != nil {
		panic(err)
	}
	if err := h.Start(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(h.Shutdown(context.Background()))
	// Output:
	// greeter starts
	// <nil>
}

// Modules of one host call each other without the registry, unless they are told to do as if they ran elsewhere.
func TestCallsInOneHostAreDirect(t *testing.T) {
	for _, remote := range []bool{false, true} {
		c := config(t, module("one", nil))
		c.Remote = remote
		h, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		known, err := c.Registry.GetService("one")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Registry.Deregister(known[0]); err != nil {
			t.Fatal(err)
		}
		_, err = catalogv1.NewCatalogService("one", h.Client()).
			CreateCategory(t.Context(), &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: "tea", Title: "Tea"}})
		if (err != nil) != remote {
			t.Errorf("remote %v: %v", remote, err)
		}
		if err := h.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
