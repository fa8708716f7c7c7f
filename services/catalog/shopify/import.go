package shopify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
)

// Of a batch of products that is sent to the catalogue.
const (
	batchProducts = 100
	batchBytes    = 1 << 20
	batchStock    = 1000
)

// Config says what is imported, and where to.
type Config struct {
	Catalog   catalogv1.CatalogService
	Inventory inventoryv1.InventoryService
	Source    io.Reader
	// Currency of the prices, ISO 4217.
	Currency string
	// Progress is called after every batch; may be nil.
	Progress func(Summary)
	// OnBadRow is called for every row that can't be imported; may be nil.
	OnBadRow func(BadRow)
}

// Summary counts what an import did.
type Summary struct {
	Rows      int `json:"rows"`
	Products  int `json:"products"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	// BadRows were told to OnBadRow; each left out a product, or the stock of a SKU.
	BadRows  int `json:"bad_rows"`
	StockSet int `json:"stock_set"`
}

// Import creates or replaces the products of the source by handle, and sets the stock of their variants. It can be run again: what hasn't
// changed stays. It returns the counts up to the error, if there is one: a source that can't be read on, or a module that doesn't answer.
// When ctx ends it stops after the batch that is on its way.
func Import(ctx context.Context, c Config) (Summary, error) {
	im := &importer{c: c, categories: map[string]bool{}}
	r, err := NewReader(c.Source, c.Currency)
	if err != nil {
		return im.sum, err
	}
	for {
		item, err := r.Next()
		im.sum.Rows = r.Rows()
		var bad *BadRow
		switch {
		case errors.Is(err, io.EOF):
			return im.sum, im.flush(ctx)
		case errors.As(err, &bad):
			im.bad(*bad)
			continue
		case err != nil:
			return im.sum, errors.Join(err, im.flush(ctx))
		}
		if err := im.add(ctx, item); err != nil {
			return im.sum, err
		}
	}
}

type importer struct {
	c          Config
	sum        Summary
	batch      []*Item
	bytes      int
	categories map[string]bool // that are surely there
}

func (im *importer) bad(b BadRow) {
	im.sum.BadRows++
	if im.c.OnBadRow != nil {
		im.c.OnBadRow(b)
	}
}

func (im *importer) add(ctx context.Context, item *Item) error {
	size := proto.Size(item.Product)
	if len(im.batch) > 0 && im.bytes+size > batchBytes {
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
	im.batch, im.bytes = append(im.batch, item), im.bytes+size
	if len(im.batch) < batchProducts {
		return nil
	}
	return im.flush(ctx)
}

func (im *importer) flush(ctx context.Context) error {
	batch := im.batch
	im.batch, im.bytes = nil, 0
	if len(batch) == 0 {
		return nil
	}
	req := &catalogv1.BatchImportProductsRequest{}
	for _, item := range batch {
		if err := im.category(ctx, item); err != nil {
			return err
		}
		req.Products = append(req.Products, item.Product)
	}
	rsp, err := im.c.Catalog.BatchImportProducts(ctx, req)
	if err != nil {
		return fmt.Errorf("import products: %w", err)
	}
	im.sum.Products += len(batch)
	im.sum.Created += int(rsp.GetCreated())
	im.sum.Updated += int(rsp.GetUpdated())
	im.sum.Unchanged += int(rsp.GetUnchanged())
	for _, f := range rsp.GetFailures() {
		item := batch[f.GetIndex()]
		im.bad(BadRow{Line: item.Line, Handle: f.GetHandle(), Reason: f.GetReason()})
		item.Stock = nil
	}
	if err := im.stock(ctx, batch); err != nil {
		return err
	}
	if im.c.Progress != nil {
		im.c.Progress(im.sum)
	}
	return nil
}

// category makes sure that the category of a product is there.
func (im *importer) category(ctx context.Context, item *Item) error {
	slug := item.Product.GetCategory()
	if slug == "" || im.categories[slug] {
		return nil
	}
	_, err := im.c.Catalog.CreateCategory(ctx, &catalogv1.CreateCategoryRequest{
		Category: &catalogv1.Category{Slug: slug, Title: strings.TrimSpace(item.CategoryTitle)},
	})
	if err != nil && problem.From(err).Code == codes.InvalidArgument {
		item.Product.Category = "" // a name no shelf can have
		return nil
	}
	if err != nil && problem.From(err).Code != codes.AlreadyExists {
		return fmt.Errorf("create the category %s: %w", slug, err)
	}
	im.categories[slug] = true
	return nil
}

func (im *importer) stock(ctx context.Context, batch []*Item) error {
	var counts []*inventoryv1.SetStockRequest
	var owners []*Item
	send := func() error {
		if len(counts) == 0 {
			return nil
		}
		rsp, err := im.c.Inventory.BatchSetStock(ctx, &inventoryv1.BatchSetStockRequest{Stock: counts})
		if err != nil {
			return fmt.Errorf("set stock: %w", err)
		}
		im.sum.StockSet += int(rsp.GetChanged())
		for _, f := range rsp.GetFailures() {
			item := owners[f.GetIndex()]
			im.bad(BadRow{Line: item.Line, Handle: item.Product.GetHandle(), Reason: "stock of " + f.GetSku() + ": " + f.GetReason()})
		}
		counts, owners = nil, nil
		return nil
	}
	for _, item := range batch {
		for _, n := range item.Stock {
			counts, owners = append(counts, &inventoryv1.SetStockRequest{Sku: n.SKU, OnHand: n.OnHand}), append(owners, item)
			if len(counts) == batchStock {
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	return send()
}
