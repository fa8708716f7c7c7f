package rpc_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/problem"
	chassisrpc "github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/catalog/internal/product"
	"github.com/cleavehq/cleave/services/catalog/internal/rpc"
	"github.com/cleavehq/cleave/services/catalog/internal/store"
)

// shop is a catalogue on a database, called as others call it.
type shop struct {
	catalogv1.CatalogService
	db *sql.DB
}

// events are those that it has told, in their order.
func (s *shop) events(t *testing.T) (out []*catalogv1.ProductChanged) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), `SELECT key, body FROM outbox ORDER BY created_at, key, seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var body []byte
		m := &catalogv1.ProductChanged{}
		if err := errors.Join(rows.Scan(&key, &body), proto.Unmarshal(body, m)); err != nil {
			t.Fatal(err)
		}
		if key != m.GetProduct().GetId() {
			t.Errorf("the key of product %s is %s", m.GetProduct().GetId(), key)
		}
		out = append(out, m)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// each runs fn on every database.
func each(t *testing.T, fn func(t *testing.T, s *shop)) {
	t.Helper()
	datatest.Each(t, "catalog", store.Migrations(), func(t *testing.T, db *sql.DB) { fn(t, open(t, db)) }, outbox.Schema())
}

func open(t *testing.T, db *sql.DB) *shop {
	t.Helper()
	reg, log, s := registry.NewMemoryRegistry(), slog.New(slog.DiscardHandler), &shop{db: db}
	svc, err := product.New(product.Config{Store: store.New(db, rpc.Tell), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h, err := rpc.New(svc)
	if err != nil {
		t.Fatal(err)
	}
	var srv server.Server
	srv, err = chassisrpc.NewServer(chassisrpc.ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: log, DrainWait: time.Millisecond,
	})
	if err == nil {
		err = catalogv1.RegisterCatalogHandler(srv, h)
	}
	if err == nil {
		err = srv.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := chassisrpc.NewClient(chassisrpc.ClientConfig{Registry: reg, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), srv.Stop()); err != nil {
			t.Error(err)
		}
	})
	s.CatalogService = catalogv1.NewCatalogService("catalog", c)
	return s
}

func thing(handle string, skus ...string) *catalogv1.Product {
	p := &catalogv1.Product{
		Handle: handle, Title: "Thing " + handle, DescriptionHtml: "<p>A <b>fine</b> thing</p>", Vendor: "Acme", Tags: []string{"new"},
		Status: catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
		Images: []*catalogv1.Image{{Src: "https://example.com/a.jpg", Alt: "a"}},
	}
	for i, sku := range skus {
		p.Variants = append(p.Variants, &catalogv1.Variant{
			Sku: sku, Title: fmt.Sprint(i), Price: &typev1.Money{Currency: "EUR", Minor: 1999}, Grams: 5,
			Options: []*catalogv1.Option{{Name: "Size", Value: fmt.Sprint(i)}},
		})
	}
	return p
}

func (s *shop) create(t *testing.T, p *catalogv1.Product) *catalogv1.Product {
	t.Helper()
	out, err := s.CreateProduct(t.Context(), &catalogv1.CreateProductRequest{Product: p})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func want(t *testing.T, err error, code codes.Code, reason string) []problem.Field {
	t.Helper()
	p := problem.From(err)
	if p == nil || p.Code != code || p.Reason != reason {
		t.Fatalf("got %v, want %v %s", err, code, reason)
	}
	return p.Fields
}

func TestCreateAndGet(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		made := s.create(t, thing("shirt", "S-1", "S-2"))
		for name, req := range map[string]*catalogv1.GetProductRequest{
			"id":     {Key: &catalogv1.GetProductRequest_Id{Id: made.GetId()}},
			"handle": {Key: &catalogv1.GetProductRequest_Handle{Handle: "shirt"}},
		} {
			got, err := s.GetProduct(t.Context(), req)
			if err != nil || !proto.Equal(got, made) {
				t.Errorf("by %s: %v, %v; want %v", name, got, err, made)
			}
		}
		asked := thing("shirt", "S-1", "S-2")
		asked.Id, asked.CreateTime, asked.UpdateTime, asked.Etag = made.GetId(), made.GetCreateTime(), made.GetUpdateTime(), made.GetEtag()
		if !proto.Equal(asked, made) || made.GetEtag() == "" {
			t.Errorf("made %v of %v", made, asked)
		}
		v, err := s.GetVariant(t.Context(), &catalogv1.GetVariantRequest{Sku: "S-2"})
		if err != nil || v.GetProductId() != made.GetId() || v.GetVariant().GetTitle() != "1" || v.GetProductTitle() != "Thing shirt" ||
			v.GetProductStatus() != catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE {
			t.Errorf("variant %v, %v", v, err)
		}
		if e := s.events(t); len(e) != 1 || !proto.Equal(e[0].GetProduct(), made) || e[0].GetEventId() == "" {
			t.Errorf("events %v", e)
		}

		_, err = s.GetProduct(t.Context(), &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Handle{Handle: "none"}})
		want(t, err, codes.NotFound, product.ReasonProductNotFound)
		_, err = s.GetVariant(t.Context(), &catalogv1.GetVariantRequest{Sku: "none"})
		want(t, err, codes.NotFound, product.ReasonVariantNotFound)
		_, err = s.CreateProduct(t.Context(), &catalogv1.CreateProductRequest{Product: thing("shirt", "S-3")})
		want(t, err, codes.AlreadyExists, product.ReasonHandleTaken)
		_, err = s.CreateProduct(t.Context(), &catalogv1.CreateProductRequest{Product: thing("coat", "S-1")})
		want(t, err, codes.AlreadyExists, product.ReasonSKUTaken)
		_, err = s.CreateProduct(t.Context(), &catalogv1.CreateProductRequest{Product: thing("coat", "C", "C")})
		want(t, err, codes.InvalidArgument, "INVALID_FIELDS")
		bad := thing("coat", "C")
		bad.Title = "nul \x00"
		_, err = s.CreateProduct(t.Context(), &catalogv1.CreateProductRequest{Product: bad})
		want(t, err, codes.InvalidArgument, "INVALID_FIELDS")
		bad = thing("coat", "C")
		bad.Category = "nowhere"
		_, err = s.CreateProduct(t.Context(), &catalogv1.CreateProductRequest{Product: bad})
		want(t, err, codes.FailedPrecondition, product.ReasonCategoryNotFound)
	})
}

func TestCreateIsIdempotentByRequestID(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		req := &catalogv1.CreateProductRequest{Product: thing("shirt", "S-1"), RequestId: "0192f5a0-0000-4000-8000-000000000001"}
		var wg sync.WaitGroup
		ids := make([]string, 8)
		for i := range ids {
			wg.Go(func() {
				p, err := s.CreateProduct(context.Background(), req)
				if err != nil {
					t.Error(err)
				}
				ids[i] = p.GetId()
			})
		}
		wg.Wait()
		if slices.Sort(ids); ids[0] == "" || ids[0] != ids[7] {
			t.Errorf("one request made %v", ids)
		}
		if n := len(s.events(t)); n != 1 {
			t.Errorf("%d events", n)
		}
		req.Product.Title = "Another"
		_, err := s.CreateProduct(t.Context(), req)
		want(t, err, codes.AlreadyExists, product.ReasonRequestIDReused)
	})
}

func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		made := s.create(t, thing("shirt", "S-1", "S-2"))
		s.create(t, thing("coat", "C-1"))
		update := func(p *catalogv1.Product, paths ...string) (*catalogv1.Product, error) {
			p.Id = made.GetId()
			return s.UpdateProduct(t.Context(), &catalogv1.UpdateProductRequest{Product: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		}
		got, err := update(&catalogv1.Product{Title: "New", Vendor: "not looked at"}, "title", "images")
		if err != nil || got.GetTitle() != "New" || got.GetVendor() != "Acme" || len(got.GetImages()) != 0 || got.GetEtag() == made.GetEtag() {
			t.Errorf("masked: %v, %v", got, err)
		}
		got, err = update(&catalogv1.Product{Vendor: "Brun"})
		if err != nil || got.GetVendor() != "Brun" || got.GetTitle() != "New" || len(got.GetVariants()) != 2 {
			t.Errorf("what is set: %v, %v", got, err)
		}
		same, err := update(&catalogv1.Product{Vendor: "Brun"}, "vendor")
		if err != nil || !proto.Equal(same, got) {
			t.Errorf("a change to the same: %v, %v; want %v", same, err, got)
		}
		if n := len(s.events(t)); n != 4 {
			t.Errorf("%d events, want 2 of creation and 2 of change", n)
		}
		got, err = update(thing("shirt", "S-2", "S-3"), "*")
		if err != nil || got.GetTitle() != "Thing shirt" || len(got.GetVariants()) != 2 {
			t.Errorf("all: %v, %v", got, err)
		}
		_, err = s.GetVariant(t.Context(), &catalogv1.GetVariantRequest{Sku: "S-1"})
		want(t, err, codes.NotFound, product.ReasonVariantNotFound)
		s.create(t, thing("hat", "S-1")) // the SKU is free again

		_, err = update(&catalogv1.Product{Title: "x", Etag: made.GetEtag()}, "title")
		want(t, err, codes.Aborted, product.ReasonEtagMismatch)
		_, err = update(&catalogv1.Product{Handle: "coat"}, "handle")
		want(t, err, codes.AlreadyExists, product.ReasonHandleTaken)
		_, err = update(thing("shirt", "C-1"), "variants")
		want(t, err, codes.AlreadyExists, product.ReasonSKUTaken)
		fields := want(t, second(update(&catalogv1.Product{}, "title")), codes.InvalidArgument, "INVALID_FIELDS")
		if len(fields) != 1 || fields[0].Path != "product.title" {
			t.Errorf("fields %v", fields)
		}
		for _, path := range []string{"id", "etag", "create_time", "variants.price", "nope", ""} {
			want(t, second(update(&catalogv1.Product{}, path)), codes.InvalidArgument, "INVALID_FIELDS")
		}
		made.Id = "0192f5a0-0000-7000-8000-000000000001"
		want(t, second(update(&catalogv1.Product{Title: "x"}, "title")), codes.NotFound, product.ReasonProductNotFound)
	})
}

func second[T any](_ T, err error) error { return err }

func TestOneOfManyWritersWithOneEtagWins(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		made := s.create(t, thing("shirt", "S-1"))
		var mu sync.Mutex
		won := 0
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				_, err := s.UpdateProduct(context.Background(), &catalogv1.UpdateProductRequest{
					Product: &catalogv1.Product{Id: made.GetId(), Title: fmt.Sprint("Title ", i), Etag: made.GetEtag()},
				})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if problem.From(err).Reason != product.ReasonEtagMismatch {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d of 16 won", won)
		}
	})
}
