// Package catalog is the module of what the shop sells: products with their variants, and the categories they lie in.
//
// A product is one document. It has a handle, its name in a URL, and at least one variant; a variant has a SKU, its name in every other
// module, and a price. Handles and SKUs are unique in the shop. The catalogue knows prices, not stock: how many there are is the
// inventory's business.
//
// Products come one by one (CreateProduct, UpdateProduct) or in bulk (BatchImportProducts, by handle, and sent twice it changes nothing
// the second time). Every change is told as shop.catalog.v1.ProductChanged, which commits with it and has the product's id as its key. The
// catalogue calls no other module.
//
// The parts: internal/product is the business and knows no transport and no SQL; internal/store keeps it in SQL; internal/rpc speaks the
// contract; shopify reads the product export of a shop. [Module] wires them, and nothing else does.
package catalog

import "github.com/cleavehq/cleave/services/catalog/internal/product"

// Name of the module in the registry.
const Name = "catalog"

// Reasons of the errors that this module makes, as a client reads them in a problem document.
const (
	ReasonProductNotFound  = product.ReasonProductNotFound
	ReasonVariantNotFound  = product.ReasonVariantNotFound
	ReasonCategoryNotFound = product.ReasonCategoryNotFound
	ReasonHandleTaken      = product.ReasonHandleTaken
	ReasonSKUTaken         = product.ReasonSKUTaken
	ReasonSlugTaken        = product.ReasonSlugTaken
	ReasonEtagMismatch     = product.ReasonEtagMismatch
	ReasonRequestIDReused  = product.ReasonRequestIDReused
	ReasonPageTokenInvalid = product.ReasonPageTokenInvalid
	ReasonQueryInvalid     = product.ReasonQueryInvalid
)
