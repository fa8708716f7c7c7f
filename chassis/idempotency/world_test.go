package idempotency_test

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

const method = "Catalog.CreateCategory"

// shelf is a module that has one command: it makes a shelf and says how many there are now.
type shelf struct {
	db    *sql.DB
	ran   atomic.Int64
	after func(ctx context.Context, in *catalogv1.CreateCategoryRequest) error // in the handler, after the work
}

func (s *shelf) create(ctx context.Context, req server.Request, rsp any) error {
	s.ran.Add(1)
	in, _ := req.Body().(*catalogv1.CreateCategoryRequest)
	out, _ := rsp.(*catalogv1.Category)
	err := data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) + 1 FROM shelves").Scan(&out.ProductCount); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO shelves (slug) VALUES ($1)", in.GetCategory().GetSlug())
		return err
	})
	out.Slug += in.GetCategory().GetSlug() // not set but added to: a second run on the same message would show
	if err == nil && s.after != nil {
		err = s.after(ctx, in)
	}
	return err
}

// count says how many rows a table has.
func (s *shelf) count(t *testing.T, name string) (n int64) {
	t.Helper()
	if err := s.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+name).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// request is a server.Request of create.
type request struct {
	server.Request
	body any
}

func (r request) Endpoint() string { return method }
func (r request) Body() any        { return r.body }

// clock is one that the test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(c.at.Load(), 0) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d / time.Second)) }

// handler is the command behind a guard of its own, as another process would have it.
func (s *shelf) handler(t *testing.T, c idempotency.Config) server.HandlerFunc {
	t.Helper()
	c.DB, c.Contract, c.Methods = s.db, catalogv1.File_shop_catalog_v1_catalog_proto, []string{method}
	if c.Now == nil {
		c.Now = time.Now
	}
	w, err := idempotency.Wrapper(c)
	if err != nil {
		t.Fatal(err)
	}
	return w(s.create)
}

// each runs a test on both engines.
func each(t *testing.T, fn func(t *testing.T, s *shelf)) {
	t.Helper()
	tables := fstest.MapFS{"migrations/00001_shelves.sql": {Data: []byte("-- +goose Up\nCREATE TABLE shelves (slug TEXT NOT NULL);\n")}}
	datatest.Each(t, "shelf", tables, func(t *testing.T, db *sql.DB) { fn(t, &shelf{db: db}) }, idempotency.Schema())
}

// call sends create with a key, unless that is empty.
func call(ctx context.Context, h server.HandlerFunc, key, slug string) (*catalogv1.Category, error) {
	if key != "" {
		ctx = idempotency.WithKey(ctx, key)
	}
	out := &catalogv1.Category{}
	in := &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: slug, Title: "T"}}
	return out, h(ctx, request{body: in}, out)
}

// is checks the code and the reason of an error.
func is(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %s %s", err, code, reason)
	}
}
