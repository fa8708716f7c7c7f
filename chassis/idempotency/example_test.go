package idempotency_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/idempotency"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func memory(t *testing.T) *sql.DB {
	t.Helper()
	return datatest.SQLite(t, "shelf", nil, idempotency.Schema())
}

// A command is sent twice with one key, as by a person who clicks twice, and is done once.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "idempotency")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := data.Open(ctx, data.Config{Dir: dir, Module: "shelf", Schemas: []data.Schema{idempotency.Schema()}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()

	done := 0
	create := func(_ context.Context, _ server.Request, rsp any) error { // its SQL would be in data.Tx(ctx, db, ...)
		done++
		rsp.(*catalogv1.Category).ProductCount = int64(done)
		return nil
	}
	// A module says: err := idempotency.Guard(s, idempotency.Config{...})
	guard, err := idempotency.Wrapper(idempotency.Config{
		DB: db, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Methods: []string{"Catalog.CreateCategory"}, Now: time.Now,
	})
	if err != nil {
		panic(err)
	}
	for range 2 {
		var out catalogv1.Category
		in := &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: "tea"}}
		err := guard(create)(idempotency.WithKey(ctx, "a-key-of-the-caller"), request{body: in}, &out)
		fmt.Println(out.GetProductCount(), err)
	}
	// Output:
	// 1 <nil>
	// 1 <nil>
}
