package host

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// counter counts how often its command is done.
type counter struct {
	shelf
	done *atomic.Int64
}

func (c *counter) UpdateProduct(_ context.Context, in *catalogv1.UpdateProductRequest, out *catalogv1.Product) error {
	c.done.Add(1)
	out.Title = in.GetProduct().GetTitle()
	return nil
}

func faultyHost(t *testing.T, spec string) (catalogv1.CatalogService, *atomic.Int64) {
	t.Helper()
	points, err := fault.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	done := &atomic.Int64{}
	m := module("shelf", nil)
	m.Start = func(_ context.Context, d Deps, s server.Server) (func(context.Context) error, error) {
		return nil, catalogv1.RegisterCatalogHandler(s, &counter{shelf{d: d}, done})
	}
	c := config(t, m)
	c.Fault, c.Remote = points, true
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Shutdown(context.Background()) })
	return catalogv1.NewCatalogService("shelf", h.Client()), done
}

func injected(err error) bool {
	var p *problem.Error
	return errors.As(err, &p) && p.Reason == fault.Reason
}

// The first answer to every command that may be sent again is lost, and to nothing else.
func TestAnswersAreLost(t *testing.T) {
	s, done := faultyHost(t, "rpc.answer.lost=error")
	update := &catalogv1.UpdateProductRequest{Product: &catalogv1.Product{
		Id: "0198c0de-0000-7000-8000-000000000000", Handle: "mug", Title: "Mug", Variants: []*catalogv1.Variant{{Sku: "MUG"}},
	}}
	for want := range int64(2) { // twice at first, and then once
		p, err := s.UpdateProduct(t.Context(), update)
		if err != nil || p.GetTitle() != "Mug" || done.Load() != want+2 {
			t.Fatalf("the client hears %v, %v; it was done %d times, want %d", p, err, done.Load(), want+2)
		}
	}
	create := func(ctx context.Context, slug string) error {
		_, err := s.CreateCategory(ctx, &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: slug, Title: slug}})
		return err
	}
	if err := create(t.Context(), "tea"); err != nil {
		t.Errorf("a command that may not be sent again: %v", err)
	}
	if err := create(metadata.NewContext(t.Context(), metadata.Metadata{idempotency.Header: "k"}), "pots"); !injected(err) {
		t.Errorf("a command with a key: %v", err)
	}
	for _, slug := range []string{"tea", "pots"} {
		if _, err := s.GetCategory(t.Context(), &catalogv1.GetCategoryRequest{Slug: slug}); err != nil {
			t.Errorf("%s was not done: %v", slug, err)
		}
	}
}

func TestCallsFailBeforeTheirHandlers(t *testing.T) {
	s, done := faultyHost(t, "rpc.call.before=error*3")
	update := &catalogv1.UpdateProductRequest{Product: &catalogv1.Product{
		Id: "0198c0de-0000-7000-8000-000000000000", Handle: "mug", Title: "Mug", Variants: []*catalogv1.Variant{{Sku: "MUG"}},
	}}
	if _, err := s.UpdateProduct(t.Context(), update); !injected(err) || done.Load() != 0 {
		t.Errorf("%v, done %d times", err, done.Load())
	}
	if _, err := s.UpdateProduct(t.Context(), update); err != nil || done.Load() != 1 {
		t.Errorf("%v, done %d times", err, done.Load())
	}
}
