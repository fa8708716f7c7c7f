// Package catalog asks the catalogue what a SKU is called, whether it is for sale, and what it costs when no price list says so.
package catalog

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	"github.com/cleavehq/cleave/services/pricing/internal/price"
)

// Catalog is price.Catalog over the catalogue's contract.
type Catalog struct{ client catalogv1.CatalogService }

var _ price.Catalog = (*Catalog)(nil)

// New returns a Catalog that calls client.
func New(client catalogv1.CatalogService) *Catalog { return &Catalog{client: client} }

// Variant implements price.Catalog.
func (c *Catalog) Variant(ctx context.Context, sku string) (price.Variant, bool, error) {
	r, err := c.client.GetVariant(ctx, &catalogv1.GetVariantRequest{Sku: sku})
	if err != nil {
		if problem.From(err).Code == codes.NotFound {
			return price.Variant{}, false, nil
		}
		return price.Variant{}, false, fmt.Errorf("ask the catalogue for %q: %w", sku, err)
	}
	amount := r.GetVariant().GetPrice()
	if amount.GetCurrency() == "" || amount.GetMinor() < 0 || amount.GetMinor() > price.MaxMinor {
		return price.Variant{}, false, problem.Internal(fmt.Errorf("the catalogue gave %q no price", sku))
	}
	title := r.GetProductTitle()
	if t := r.GetVariant().GetTitle(); t != "" {
		title += " - " + t
	}
	return price.Variant{
		Title: title, Price: price.Money{Currency: amount.GetCurrency(), Minor: amount.GetMinor()},
		ForSale: r.GetProductStatus() == catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
	}, true, nil
}
